/*
 * ddl.c
 *		Making a continuous view.
 *
 * In:  a name, and a definition as text or as an existing plain view.
 * Out: three ordinary objects of the caller's and a row in deltaflow.view:
 *
 *		 <name>_batch          <name>_state            <name>
 *		 the definition        groups and states       the live view
 *		      |                      |                    |
 *		      +----- internal -------+----- internal ---->+      (dropping <name> drops both)
 *
 * A definition that came as a plain view stays its owner's: the live view then depends
 * on it, not the other way round.
 *
 * Everything happens in the caller's transaction and only in the catalogs; workers see
 * the new row after commit and fill the state.  Stages: names, definition and its
 * refusals, an existing view of that name, the pipeline (locked after the source
 * and before what is made), objects, dependencies, catalog row.
 *
 * Objects are made with the caller's rights, catalog rows with the extension owner's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/topic.h"
#include "ingest/start.h"
#include "view/ddl.h"
#include "view/load.h"
#include "view/options.h"
#include "view/retain.h"
#include "view/window_key.h"

/* Settings that expressions of a definition may depend on: workers use the creator's. */
static const char *const pinned_settings[] = {
	"TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits", "bytea_output", "xmloption",
	"lc_time", "lc_numeric", "lc_monetary",
};

/* What view_create works on. */
typedef struct Creation
{
	const CreateView *request;
	ViewSettings options;
	Interval   *lateness;		/* as asked for, or as long as windows are retained */
	bool		emit_close;
	char	   *schema;
	char	   *live;			/* names of the objects, without schema */
	char	   *batch;
	char	   *state;
	Query	   *query;			/* the definition */
	ViewSpec   *spec;
	PipelineRow *pipeline;
} Creation;

/* Runs one command with the caller's rights. */
void
run_command(const char *command)
{
	int			result;

	SPI_connect();
	result = SPI_execute(command, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", command, SPI_result_code_string(result));
	SPI_finish();
}

/* schema.name, quoted */
char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/* Pinned settings as they are in this session. */
static List *
pinned_now(void)
{
	List	   *pinned = NIL;

	for (int i = 0; i < lengthof(pinned_settings); i++)
		pinned = lappend(pinned, psprintf("%s=%s", pinned_settings[i], GetConfigOption(pinned_settings[i], false, false)));
	return pinned;
}

/* ---- names ---- */

static void
choose_names(Creation *creation)
{
	RangeVar   *name = makeRangeVarFromNameList(stringToQualifiedNameList(creation->request->name, NULL));

	creation->schema = get_namespace_name(RangeVarGetCreationNamespace(name));
	creation->live = name->relname;
	creation->state = makeObjectName(name->relname, NULL, "state");
	creation->batch = OidIsValid(creation->request->from_view)
		? get_rel_name(creation->request->from_view)
		: makeObjectName(name->relname, NULL, "batch");
	if (isTempNamespace(get_namespace_oid(creation->schema, false)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous view cannot be temporary"),
				 errdetail("Workers cannot see temporary relations."),
				 errhint("Create it in a permanent schema.")));
}

/* ---- arguments ---- */

static void
check_emit(Creation *creation)
{
	const char *emit = creation->request->emit;

	creation->emit_close = strcmp(emit, "close") == 0;
	if (!creation->emit_close && strcmp(emit, "update") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized value \"%s\" of emit", emit),
				 errhint("Use 'update' to see groups as they change, or 'close' to see only final ones.")));
}

/* A row for a window that is not retained any more must be late: it would begin the window anew. */
static void
check_options(Creation *creation)
{
	const CreateView *request = creation->request;

	view_options_check(request->options);
	creation->options = view_options_parse(request->options);
	creation->lateness = request->lateness;
	if (creation->options.retain == VIEW_RETAIN_ALL)
		return;
	if (creation->lateness == NULL)
	{
		creation->lateness = palloc0(sizeof(Interval));
		creation->lateness->time = creation->options.retain;
	}
	retain_check(&creation->options, creation->lateness);
}

/* Exactly one of query and from_view, and the latter the caller's own. */
static void
check_definition_arguments(const CreateView *request)
{
	if ((request->query == NULL) == !OidIsValid(request->from_view))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a continuous view needs either query or from_view"),
				 errhint("Give the definition as text in query, or an existing plain view in from_view.")));
	if (request->query != NULL)
		return;
	if (get_rel_relkind(request->from_view) != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a plain view", get_rel_name(request->from_view)),
				 errhint("Write the definition with CREATE VIEW first.")));
	if (!relation_ownercheck(request->from_view, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_VIEW, get_rel_name(request->from_view));
}

/* ---- definition ---- */

/* The window functions themselves refuse strides, origins and zones of which no row could make a window. */
static void
try_window(const ViewSpec *spec)
{
	WindowBounds window;

	if (spec->window.kind == WINDOW_TUMBLING)
		(void) window_ending_after(spec, 0, &window);
}

static void
analyse_request(Creation *creation)
{
	const CreateView *request = creation->request;
	ViewRefusal *refusal;

	creation->query = request->query ? definition_parse(request->query) : view_definition(request->from_view);
	refusal = view_analyse(copyObject(creation->query), &creation->spec);
	if (refusal != NULL)
		view_refusal_raise_at(refusal, request->query);
	try_window(creation->spec);
}

static bool
reads_column_named(Expr *expr, Oid relid, const char *name)
{
	List	   *vars = pull_var_clause((Node *) expr, 0);
	ListCell   *lc;

	foreach(lc, vars)
		if (strcmp(get_attname(relid, lfirst_node(Var, lc)->varattno, false), name) == 0)
			return true;
	return false;
}

/* Lateness is judged by the watermark, which comes from the topic's event time. */
static void
check_event_time(const Creation *creation)
{
	Topic	   *topic = topic_load(creation->pipeline->topic, GetUserId());
	const char *event_time;

	if (topic->event_time == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" has no event time", get_rel_name(topic->relid)),
				 errdetail("Without one there is no watermark, by which rows are late and windows final."),
				 errhint("ALTER FOREIGN TABLE %s OPTIONS (ADD event_time '...', ADD watermark_delay '30 s').",
						 get_rel_name(topic->relid))));
	event_time = get_attname(topic->relid, topic->event_time, false);
	if (!reads_column_named(creation->spec->window.time, creation->spec->source_relid, event_time))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("window of the continuous view is not over the event time of topic \"%s\"", get_rel_name(topic->relid)),
				 errdetail("The watermark follows column \"%s\", and the window another expression.", event_time),
				 errhint("Group by a window over \"%s\", or leave out lateness and emit.", event_time)));
}

/* lateness and emit => 'close' need a window that ends. */
static void
check_lateness(const Creation *creation)
{
	Interval   *lateness = creation->lateness;

	if (lateness == NULL && !creation->emit_close)
		return;
	if (lateness == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("emit => 'close' needs lateness"),
				 errdetail("A window is final once its end and the lateness lie behind the watermark."),
				 errhint("Give lateness => '0' to close windows as soon as the watermark passes their end.")));
	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(lateness),
										  DirectFunctionCall3(interval_in, CStringGetDatum("0"),
															  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lateness must not be negative")));
	if (lateness->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lateness must not have months or years"),
				 errdetail("They have no fixed length."),
				 errhint("Give it in days.")));
	if (creation->spec->window.kind == WINDOW_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lateness needs a window in GROUP BY"),
				 errdetail("No grouping expression is date_bin or date_trunc with a constant width."),
				 errhint("Group by date_bin('10 min', event_time, '2000-01-01') or by date_trunc('hour', event_time), or leave out lateness.")));
	check_event_time(creation);
	if (creation->options.retain != VIEW_RETAIN_ALL)
		retain_check_shown(creation->spec);
}

/* ---- a view of that name ---- */

/* Whether the live view's columns are named as the definition names them. */
static bool
same_column_names(const ViewSpec *spec, Oid live)
{
	ListCell   *lc;
	AttrNumber	attno = 0;

	foreach(lc, spec->output_tlist)
	{
		char	   *name = get_attname(live, ++attno, true);

		if (name == NULL || strcmp(name, lfirst_node(TargetEntry, lc)->resname) != 0)
			return false;
	}
	return get_attname(live, attno + 1, true) == NULL;
}

static bool
same_lateness(const Interval *one, const Interval *other)
{
	if (one == NULL || other == NULL)
		return one == other;
	return DatumGetBool(DirectFunctionCall2(interval_eq, IntervalPGetDatum(one), IntervalPGetDatum(other)));
}

/* What differs between the request and an existing view; NULL when nothing does. */
static const char *
difference(const Creation *creation, const ViewRow *row)
{
	const CreateView *request = creation->request;
	PipelineRow *pipeline = pipeline_by_id(row->pipeline_id);

	if (OidIsValid(request->from_view) && request->from_view != row->batch)
		return "Its definition is in another view.";
	if (pipeline == NULL || pipeline_source(pipeline) != creation->spec->source_relid)
		return "Its definition reads another source.";
	if (!view_fingerprint_same(row->fingerprint, view_query_fingerprint(creation->query)) ||
		!same_column_names(creation->spec, row->live))
		return "Its definition is different.";
	if (!same_lateness(creation->lateness, row->lateness))
		return "Its lateness is different.";
	if (creation->emit_close != row->emit_close)
		return "Its emit is different.";
	if (!view_options_equal(request->options, row->options))
		return "Its options are different.";
	return NULL;
}

/* True when the view exists already as requested; ERROR when it exists otherwise. */
static bool
exists_already(const Creation *creation)
{
	Oid			relid = get_relname_relid(creation->live, get_namespace_oid(creation->schema, false));
	ViewRow    *row;
	const char *detail;

	if (!OidIsValid(relid))
		return false;
	row = view_by_live(relid);
	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", creation->live),
				 errdetail("It is not a continuous view."),
				 errhint("Choose another name, or drop the relation first.")));
	detail = difference(creation, row);
	if (detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("continuous view \"%s\" already exists and differs", creation->live),
				 errdetail_internal("%s", detail),
				 errhint("DROP VIEW %s first to make it anew, or choose another name.",
						 quote_qualified_identifier(creation->schema, creation->live))));
	view_bind(row);
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("continuous view \"%s\" already exists, skipping", creation->live)));
	return true;
}

/* ---- pipeline ---- */

/* The pipeline of views over a topic, made with its first view. */
static PipelineRow *
topic_pipeline(const Creation *creation)
{
	Oid			relid = creation->spec->source_relid;
	PipelineRow *found = pipeline_of_topic(relid);
	PipelineRow row = {0};
	const char *start = creation->request->start;

	if (found != NULL && start != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("start cannot be chosen for another view over topic \"%s\"", get_rel_name(relid)),
				 errdetail("All views over a topic read it from the same start, \"%s\".", found->start_at),
				 errhint("Leave out start.")));
	if (found != NULL)
		return found;

	row.topic = relid;
	row.name = psprintf("%s.%s", get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	if (pipeline_by_name(get_rel_name(relid)) == NULL)
		row.name = get_rel_name(relid);
	row.start_at = start ? pstrdup(start) : topic_load(relid, GetUserId())->start;
	row.options = "{}";
	row.watermark = DT_NOBEGIN;
	return pipeline_by_id(pipeline_create(&row, GetUserId()));
}

/* Finds or makes the pipeline, and locks it. */
static void
join_pipeline(Creation *creation)
{
	Oid			relid = creation->spec->source_relid;
	PipelineRow *pipeline;

	if (is_topic(relid))
		pipeline = topic_pipeline(creation);
	else if (creation->request->start != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("start applies only to views over a topic"),
				 errdetail("This definition reads table \"%s\", all of whose rows count.", get_rel_name(relid)),
				 errhint("Leave out start, or restrict the rows with WHERE.")));
	else
		pipeline = pipeline_by_target(relid);

	if (pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not the target of an ingest", get_rel_name(relid)),
				 errdetail("A continuous view is kept up to date by the ingest that fills its source."),
				 errhint("Create the ingest first: SELECT deltaflow.create_ingest('...', target => '%s').",
						 qualified_name(relid))));
	creation->pipeline = pipeline_lock(pipeline->id);
	if (creation->pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ingest \"%s\" was dropped concurrently", pipeline->name)));
}

/* ---- objects ---- */

static Oid
relation_oid(const Creation *creation, const char *name)
{
	return get_relname_relid(name, get_namespace_oid(creation->schema, false));
}

static void
make_batch_view(const Creation *creation)
{
	if (creation->request->query != NULL)
		run_command(psprintf("CREATE VIEW %s AS %s",
							 quote_qualified_identifier(creation->schema, creation->batch),
							 definition_statement(creation->request->query)));
}

static void
make_state_table(const Creation *creation)
{
	char	   *index = state_index_sql(creation->spec, creation->schema, creation->state,
										makeObjectName(creation->state, NULL, "key"));
	char	   *global = state_global_row_sql(creation->spec, creation->schema, creation->state);

	run_command(state_table_sql(creation->spec, creation->schema, creation->state));
	run_command(psprintf("ALTER TABLE %s REPLICA IDENTITY FULL",
						 quote_qualified_identifier(creation->schema, creation->state)));
	if (index != NULL)
		run_command(index);
	if (global != NULL)
		run_command(global);
}

/* The live view must look like the batch view to its readers. */
static void
check_same_columns(Oid live, Oid batch)
{
	Relation	live_rel = table_open(live, AccessShareLock);
	Relation	batch_rel = table_open(batch, AccessShareLock);
	TupleDesc	one = RelationGetDescr(live_rel);
	TupleDesc	other = RelationGetDescr(batch_rel);

	for (int i = 0; i < other->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(one, i);
		Form_pg_attribute b = TupleDescAttr(other, i);

		if (one->natts != other->natts || a->atttypid != b->atttypid || a->atttypmod != b->atttypmod ||
			a->attcollation != b->attcollation)
			elog(ERROR, "column \"%s\" of the live view has not the type of the definition's", NameStr(b->attname));
	}
	table_close(live_rel, NoLock);
	table_close(batch_rel, NoLock);
}

/* How long after its end a window is final: a session while rows that are not late can touch it. */
static Interval *
final_after(const Creation *creation)
{
	const WindowSpec *window = &creation->spec->window;
	Interval	gap = {.time = window->session.gap};	/* a day of it is 24 hours, whatever the zone */

	if (creation->lateness == NULL || window->kind != WINDOW_SESSION)
		return creation->lateness;
	return DatumGetIntervalP(DirectFunctionCall2(interval_pl, IntervalPGetDatum(creation->lateness),
												 IntervalPGetDatum(&gap)));
}

/* The options, with the note that the definition is in a view of the user's. */
static char *
stored_options(const char *options, bool from_view)
{
	Datum		stored = DirectFunctionCall1(jsonb_in, CStringGetDatum(options));

	if (from_view)
		stored = DirectFunctionCall2(jsonb_concat, stored,
									 DirectFunctionCall1(jsonb_in, CStringGetDatum("{\"from_view\": true}")));
	return DatumGetCString(DirectFunctionCall1(jsonb_out, stored));
}

/* The three objects, and the row about them. */
static void
make_view(const Creation *creation)
{
	ViewRow		row = {0};
	bool		given = OidIsValid(creation->request->from_view);

	make_batch_view(creation);
	make_state_table(creation);
	row.state_table = relation_oid(creation, creation->state);
	if (creation->options.retain != VIEW_RETAIN_ALL)
		retain_make_index(creation->spec, row.state_table);
	run_command(live_view_sql(creation->spec, row.state_table, creation->emit_close ? creation->lateness : NULL,
							  creation->schema, creation->live));
	row.live = relation_oid(creation, creation->live);
	row.batch = given ? creation->request->from_view : relation_oid(creation, creation->batch);
	check_same_columns(row.live, row.batch);

	row.pipeline_id = creation->pipeline->id;
	row.fingerprint = view_fingerprint(row.batch);
	row.lateness = creation->lateness;
	row.final_after = final_after(creation);
	row.emit_close = creation->emit_close;
	row.options = stored_options(creation->request->options, given);
	row.pinned = pinned_now();
	row.server_major = PG_MAJORVERSION_NUM;
	row.state = STATE_BACKFILLING;
	view_bind(&row);
	(void) view_insert(&row);
	pipeline_changed(creation->pipeline->id);
	CommandCounterIncrement();
}

const char *
view_create(const CreateView *request)
{
	Creation	creation = {request};

	check_emit(&creation);
	check_options(&creation);
	check_definition_arguments(request);
	choose_names(&creation);
	analyse_request(&creation);
	if (exists_already(&creation))
		return request->name;
	join_pipeline(&creation);
	AcceptInvalidationMessages();	/* a view of that name may have been made by somebody we waited for */
	if (exists_already(&creation))
		return request->name;
	check_lateness(&creation);
	make_view(&creation);
	return request->name;
}

/* Options from before, with those named replaced. */
void
view_alter_options(const ViewRow *row, const char *options)
{
	Datum		stored = DirectFunctionCall1(jsonb_in, CStringGetDatum(row->options));
	ViewSettings settings;

	view_options_check(options);
	stored = DirectFunctionCall2(jsonb_concat, stored, DirectFunctionCall1(jsonb_in, CStringGetDatum(options)));
	options = DatumGetCString(DirectFunctionCall1(jsonb_out, stored));
	settings = view_options_parse(options);
	retain_check(&settings, row->lateness);
	view_set_options(row->id, options);
	pipeline_changed(row->pipeline_id);
}
