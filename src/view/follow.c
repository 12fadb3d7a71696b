/*
 * follow.c
 *		Keeping a view's objects together when somebody alters or drops one of them.
 *
 * The live view leads.  Two event triggers of the extension call here:
 *
 *		ddl_command_end   the live view was renamed, moved or given away: the state table
 *						  and the batch view that create_view made follow it.  A definition,
 *						  a view below it or a source was altered: its pipeline's workers
 *						  reload, and find out whether the view can still be maintained.
 *		sql_drop		  the live view is gone: what the dependencies have not removed
 *						  (a restored dump has none of them) goes, with the catalog rows,
 *						  and the pipeline of a topic with its last view.
 *
 * The native dependencies are made at CREATE.  pg_dump does not carry them; they are
 * made again when a restored pipeline is resumed, and until then sql_drop refuses to
 * take a part from a live view that stays.
 *
 * Event triggers work without the library being preloaded, in every session.  Commands
 * run as the user who altered or dropped; catalog rows are written as the extension's
 * owner.  All in the transaction of the DDL, so a rollback undoes it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "view/ddl.h"
#include "view/load.h"

/* A batch view that came by from_view stays as it is. */
static bool
owns_batch(const ViewRow *row)
{
	return strstr(row->options, "\"from_view\"") == NULL;
}

static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

	ReleaseSysCache(tuple);
	return owner;
}

/* Gives a relation the live view's owner, schema and a name after it.  kind: TABLE or VIEW. */
static void
follow_relation(Oid relid, Oid live, const char *kind, const char *label)
{
	char	   *name = makeObjectName(get_rel_name(live), NULL, label);

	if (owner_of(relid) != owner_of(live))
		run_command(psprintf("ALTER %s %s OWNER TO %s", kind, qualified_name(relid),
							 quote_identifier(GetUserNameFromId(owner_of(live), false))));
	if (get_rel_namespace(relid) != get_rel_namespace(live))
		run_command(psprintf("ALTER %s %s SET SCHEMA %s", kind, qualified_name(relid),
							 quote_identifier(get_namespace_name(get_rel_namespace(live)))));
	if (strcmp(get_rel_name(relid), name) != 0)
		run_command(psprintf("ALTER %s %s RENAME TO %s", kind, qualified_name(relid), quote_identifier(name)));
}

/* Columns of the batch view are named as those of the live view. */
static void
follow_columns(Oid batch, Oid live)
{
	char	   *name;

	for (AttrNumber attno = 1; (name = get_attname(live, attno, true)) != NULL; attno++)
	{
		char	   *old = get_attname(batch, attno, true);

		if (old != NULL && strcmp(old, name) != 0)
			run_command(psprintf("ALTER VIEW %s RENAME COLUMN %s TO %s", qualified_name(batch),
								 quote_identifier(old), quote_identifier(name)));
	}
}

/* The state table's index is named after the table. */
static void
follow_index(Oid state)
{
	Relation	relation = relation_open(state, AccessShareLock);
	List	   *indexes = RelationGetIndexList(relation);
	char	   *name = makeObjectName(get_rel_name(state), NULL, "key");

	relation_close(relation, NoLock);
	if (list_length(indexes) == 1 && strcmp(get_rel_name(linitial_oid(indexes)), name) != 0)
		run_command(psprintf("ALTER INDEX %s RENAME TO %s", qualified_name(linitial_oid(indexes)), quote_identifier(name)));
}

static bool
relation_exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

static void
follow_view(const ViewRow *row)
{
	if (relation_exists(row->state_table))
	{
		follow_relation(row->state_table, row->live, "TABLE", "state");
		follow_index(row->state_table);
	}
	if (owns_batch(row) && relation_exists(row->batch))
	{
		follow_relation(row->batch, row->live, "VIEW", "batch");
		follow_columns(row->batch, row->live);
	}
}

static Datum
oid_array(const Oid *oids, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		elements[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* Tells the pipelines of all views whose definitions read these relations, directly or through views. */
static void
announce_change(const Oid *relids, int n)
{
	static const char *const readers =
		"WITH RECURSIVE reader (relid) AS ("
		"    SELECT pg_catalog.unnest($1)"
		"    UNION SELECT r.ev_class FROM reader"
		"    JOIN pg_catalog.pg_depend d ON d.refobjid = reader.relid"
		"        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
		"        AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
		"    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid) "
		"SELECT DISTINCT v.pipeline_id FROM deltaflow.view v JOIN reader ON v.batch = reader.relid ORDER BY 1";
	Oid			types[] = {OIDARRAYOID};
	Datum		values[] = {oid_array(relids, n)};
	Identity	before = identity_become_owner();
	bool		isnull;

	SPI_connect();
	if (SPI_execute_with_args(readers, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the views that read a relation");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		SPITupleTable *found = SPI_tuptable;

		pipeline_changed(DatumGetInt64(SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull)));
		SPI_tuptable = found;
	}
	SPI_finish();
	identity_restore(before);
}

void
views_follow(const Oid *relids, int n)
{
	for (int i = 0; i < n; i++)
	{
		ViewRow    *row = view_by_live(relids[i]);

		if (row != NULL && relation_exists(relids[i]))
			follow_view(row);
	}
	if (n > 0)
		announce_change(relids, n);
}

/* ---- DROP ---- */

static void
drop_left_over(Oid relid, const char *kind)
{
	if (relation_exists(relid))
		run_command(psprintf("DROP %s %s", kind, qualified_name(relid)));
}

static void
view_dropped(const ViewRow *row)
{
	PipelineRow *pipeline = pipeline_lock(row->pipeline_id);

	view_delete(row->id);
	if (owns_batch(row))
		drop_left_over(row->batch, "VIEW");
	drop_left_over(row->state_table, "TABLE");

	if (pipeline == NULL)
		return;
	if (!OidIsValid(pipeline->target) && view_list(pipeline->id) == NIL)
		pipeline_delete(pipeline->id);
	else
		pipeline_changed(pipeline->id);
}

/* Views that have one of these relations as live view, definition or state table; the row is gone with the first. */
static List *
views_of(const Oid *relids, int n)
{
	static const char *const views =
		"SELECT live FROM deltaflow.view "
		"WHERE live = ANY ($1) OR batch = ANY ($1) OR state_table = ANY ($1) ORDER BY id";
	Oid			types[] = {OIDARRAYOID};
	Datum		values[] = {oid_array(relids, n)};
	Identity	before = identity_become_owner();
	MemoryContext caller = CurrentMemoryContext;
	List	   *live = NIL;
	bool		isnull;

	SPI_connect();
	if (SPI_execute_with_args(views, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the views of a relation");
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
		live = lappend_oid(live, DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	SPI_finish();
	identity_restore(before);
	return live;
}

/* A part was dropped from under a live view that stays: only where a restored dump has lost the dependencies. */
static void
refuse_part(Oid live)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop a part of continuous view \"%s\"", get_rel_name(live)),
			 errdetail("The view needs its definition and its state table."),
			 errhint("DROP VIEW %s first.", qualified_name(live))));
}

/* All rows that this DROP will want, in one order, whichever view or ingest comes first. */
static void
lock_pipelines_of(const Oid *relids, int n)
{
	static const char *const pipelines =
		"SELECT 1 FROM deltaflow.pipeline p WHERE topic = ANY ($1) OR target = ANY ($1) OR EXISTS "
		"(SELECT 1 FROM deltaflow.view v WHERE v.pipeline_id = p.id "
		"AND (v.live = ANY ($1) OR v.batch = ANY ($1) OR v.state_table = ANY ($1))) "
		"ORDER BY id FOR NO KEY UPDATE OF p";
	Oid			types[] = {OIDARRAYOID};
	Datum		values[] = {oid_array(relids, n)};
	Identity	before = identity_become_owner();

	SPI_connect();
	if (SPI_execute_with_args(pipelines, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock the pipelines of a relation");
	SPI_finish();
	identity_restore(before);
}

void
views_dropped(const Oid *relids, int n)
{
	ListCell   *lc;

	if (n == 0)
		return;
	lock_pipelines_of(relids, n);
	foreach(lc, views_of(relids, n))
	{
		if (relation_exists(lfirst_oid(lc)))
			refuse_part(lfirst_oid(lc));
		view_dropped(view_by_live(lfirst_oid(lc)));
	}
}

/* ---- dependencies ---- */

static bool
depends_on(Oid dependent, const ObjectAddress *on)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(dependent));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found = form->objsubid == 0 && form->refclassid == on->classId && form->refobjid == on->objectId;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

static void
depend(Oid dependent, Oid class, Oid object, DependencyType how)
{
	ObjectAddress one = {RelationRelationId, dependent, 0};
	ObjectAddress other = {class, object, 0};

	if (OidIsValid(object) && !depends_on(dependent, &other))
		recordDependencyOn(&one, &other, how);
}

/*
 * The live view depends on what columns of the state table depend on.  DROP TYPE ... CASCADE
 * then comes to the view, which takes the whole table along, before it comes to the
 * column; the other way round it would drop a column of a table that is gone.
 *
 * Callers may hold the pipeline's row, so no relation is locked: the catalog tells.
 */
static void
depend_on_columns(Oid live, Oid state)
{
	HeapTuple	tuple;

	for (AttrNumber attno = 1; HeapTupleIsValid(tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(state), Int16GetDatum(attno))); attno++)
	{
		FormData_pg_attribute column = *(Form_pg_attribute) GETSTRUCT(tuple);

		ReleaseSysCache(tuple);
		if (column.attisdropped)
			continue;
		depend(live, TypeRelationId, column.atttypid, DEPENDENCY_NORMAL);
		depend(live, CollationRelationId, column.attcollation, DEPENDENCY_NORMAL);
	}
}

void
view_bind(const ViewRow *row)
{
	if (!relation_exists(row->live) || !relation_exists(row->batch) || !relation_exists(row->state_table))
		return;
	depend_on_columns(row->live, row->state_table);
	depend(row->state_table, RelationRelationId, row->live, DEPENDENCY_INTERNAL);
	if (owns_batch(row))
		depend(row->batch, RelationRelationId, row->live, DEPENDENCY_INTERNAL);
	else
		depend(row->live, RelationRelationId, row->batch, DEPENDENCY_NORMAL);
}

void
views_bind(int64 pipeline_id)
{
	ListCell   *lc;

	foreach(lc, view_list(pipeline_id))
		view_bind(lfirst(lc));
}
