/*
 * load.c
 *		From a row of deltaflow.view to a spec that may be run.
 *
 * The spec is made anew from the batch view each time.  What was true at CREATE may
 * have changed since: CREATE OR REPLACE VIEW of the definition or of a view below it,
 * ALTER TABLE on the state, another major version of the server.  Each is looked for
 * here, so that state is never folded by a definition other than its own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "view/ddl.h"
#include "view/load.h"
#include "view/lock.h"
#include "view/rules.h"

Oid
pipeline_source(const PipelineRow *pipeline)
{
	return OidIsValid(pipeline->target) ? pipeline->target : pipeline->topic;
}

Oid
view_owner(const ViewRow *row)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(row->live));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", row->live)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* A refusal about an existing view whose state is no longer what its definition says. */
static ViewRefusal *
outdated(const ViewRow *row, const char *detail, const char *hint)
{
	ViewRefusal *refusal = refuse(-1, psprintf("continuous view \"%s\" can no longer be maintained", get_rel_name(row->live)),
								  detail, hint);

	refusal->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	return refusal;
}

static ViewRefusal *
check_relations(const ViewRow *row)
{
	Oid			relids[] = {row->live, row->batch, row->state_table};

	for (int i = 0; i < lengthof(relids); i++)
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relids[i])))
			return outdated(row, "Its live view, its definition or its state table has been removed.",
							"Drop what is left of it and create it again.");
	return NULL;
}

/*
 * After pg_upgrade the definition may print otherwise, so that there is nothing to
 * compare with until the view is stamped (view_adopt).
 */
static ViewRefusal *
check_definition(const ViewRow *row, const ViewSpec *spec)
{
	PipelineRow *pipeline = pipeline_by_id(row->pipeline_id);

	if (pipeline == NULL || pipeline_source(pipeline) != spec->source_relid)
		return outdated(row, psprintf("Its definition now reads \"%s\", which is not the source that it was created on.",
									  get_rel_name(spec->source_relid)),
						"Put the old definition back with CREATE OR REPLACE VIEW, or drop the view and create it again.");
	if (row->server_major == PG_MAJORVERSION_NUM &&
		!view_fingerprint_same(row->fingerprint, view_fingerprint(row->batch)))
		return outdated(row, psprintf("The definition in \"%s\" has changed since its state was made.",
									  get_rel_name(row->batch)),
						"Put the old definition back with CREATE OR REPLACE VIEW, or drop the view and create it again.");
	return NULL;
}

/* Serialized states are only as portable as the functions that wrote them; a view about to be filled has none. */
static ViewRefusal *
check_server(const ViewRow *row, const ViewSpec *spec)
{
	if (row->server_major == PG_MAJORVERSION_NUM || row->state == STATE_BACKFILLING)
		return NULL;
	for (int i = 0; i < spec->naggregates; i++)
		if (spec->aggregates[i].kind == FOLD_SERIAL)
			return outdated(row, psprintf("Its state of aggregate function %s was written by PostgreSQL %d.",
										  get_func_name(spec->aggregates[i].aggref->aggfnoid), row->server_major),
							psprintf("SELECT deltaflow.resume('%s') builds the state again.", qualified_name(row->live)));
	return NULL;
}

/* To be called by whoever is going to maintain the view: after pg_upgrade, notes the definition as it prints now. */
void
view_adopt(ViewRow *row)
{
	if (row->server_major == PG_MAJORVERSION_NUM)
		return;
	if (row->state == STATE_BACKFILLING)
	{
		/* what an earlier server has filled in is as foreign as any other state */
		view_set_state(row->id, row->state, row->last_error, row->hint);
		memset(&row->fill, 0, sizeof(row->fill));
	}
	row->server_major = PG_MAJORVERSION_NUM;
	row->fingerprint = view_fingerprint(row->batch);
	view_stamp(row->id, row->fingerprint, row->server_major);
}

static bool
column_fits(TupleDesc desc, const StateColumn *column)
{
	Form_pg_attribute attr;

	if (column->attnum > desc->natts)
		return false;
	attr = TupleDescAttr(desc, column->attnum - 1);
	return !attr->attisdropped && attr->atttypid == column->type;
}

static bool
state_table_fits(TupleDesc desc, const ViewSpec *spec)
{
	for (int i = 0; i < spec->nkeys; i++)
		if (!column_fits(desc, &spec->keys[i].column))
			return false;
	if (spec->window.kind == WINDOW_SESSION && !column_fits(desc, &spec->window.session.last))
		return false;
	for (int i = 0; i < spec->naggregates; i++)
		for (int j = 0; j < spec->aggregates[i].nstate; j++)
			if (!column_fits(desc, &spec->aggregates[i].state[j]))
				return false;
	return desc->natts == spec->nstate_columns;
}

static ViewRefusal *
check_state_table(const ViewRow *row, const ViewSpec *spec)
{
	Relation	state = table_open(row->state_table, AccessShareLock);
	bool		fits = state_table_fits(RelationGetDescr(state), spec);

	table_close(state, NoLock);
	if (fits)
		return NULL;
	return outdated(row, psprintf("The columns of its state table \"%s\" have been altered.", get_rel_name(row->state_table)),
					"Drop the view and create it again.");
}

ViewRefusal *
view_load(const ViewRow *row, ViewSpec **spec)
{
	ViewRefusal *refusal;

	(void) view_lock(row, AccessShareLock, true);
	*spec = NULL;
	refusal = check_relations(row);
	if (refusal == NULL)
		refusal = view_analyse(view_definition(row->batch), spec);
	if (refusal == NULL)
		refusal = check_definition(row, *spec);
	if (refusal == NULL)
		refusal = check_server(row, *spec);
	if (refusal == NULL)
		refusal = check_state_table(row, *spec);
	if (refusal != NULL)
	{
		*spec = NULL;
		return refusal;
	}
	(*spec)->view_relid = row->live;
	(*spec)->batch_relid = row->batch;
	(*spec)->state_relid = row->state_table;
	return NULL;
}
