/*
 * explain.c
 *		deltaflow.explain: strategy, what a row costs, state layout, when groups become final.
 *
 * Written from the same spec that the workers run, so it cannot say anything else
 * than what happens.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/topic.h"
#include "view/aggregates.h"
#include "view/ddl.h"
#include "view/explain.h"
#include "view/explain_time.h"
#include "view/load.h"

/* What the lines are written from. */
typedef struct Explanation
{
	const ViewRow *row;
	ViewSpec   *spec;
	PipelineRow *pipeline;
	List	   *context;		/* deparse context over the source */
	List	   *lines;
} Explanation;

static void line(Explanation *explanation, const char *format,...) pg_attribute_printf(2, 3);

static void
line(Explanation *explanation, const char *format,...)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	explanation->lines = lappend(explanation->lines, text.data);
}

static char *
source_text(const Explanation *explanation, Expr *expr)
{
	return deparse_expression((Node *) expr, explanation->context, false, false);
}

/* The expression of input column i. */
static Expr *
input_expr(const ViewSpec *spec, int i)
{
	return list_nth_node(TargetEntry, spec->input_tlist, i)->expr;
}

static void
explain_source(Explanation *explanation)
{
	const ViewSpec *spec = explanation->spec;
	bool		topic = is_topic(spec->source_relid);

	static const struct
	{
		const char *name;
		const char *reason;
	}			strategies[] = {
		[WINDOW_NONE] = {"fold", "grouped aggregates that all have an algebra of their own; no stored row is read again"},
		[WINDOW_TUMBLING] = {"fold", "grouped aggregates that all have an algebra of their own; no stored row is read again"},
		[WINDOW_PANES] = {"fold by pane", "a row is folded once, into its pane; windows are made of panes when the view is read"},
		[WINDOW_SESSION] = {"session", "rows extend, bridge or begin sessions of their key; states of bridged sessions are merged"},
	};

	line(explanation, "Continuous view %s: strategy %s", qualified_name(explanation->row->live), strategies[spec->window.kind].name);
	line(explanation, "  Reason: one source, %s", strategies[spec->window.kind].reason);
	line(explanation, "  Source: %s %s (pipeline \"%s\")", topic ? "topic" : "table",
		 qualified_name(spec->source_relid), explanation->pipeline->name);
	line(explanation, "  Definition: %s", qualified_name(explanation->row->batch));
}

/* Columns decoded and expressions run. */
static void
explain_row(Explanation *explanation)
{
	const ViewSpec *spec = explanation->spec;
	StringInfoData columns;
	int			attno = -1;
	int			simple = 0;

	initStringInfo(&columns);
	while ((attno = bms_next_member(spec->source_columns, attno)) >= 0)
		appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "", get_attname(spec->source_relid, attno, false));
	for (int i = 0; i < spec->ninputs; i++)
		if (IsA(input_expr(spec, i), Var))
			simple++;

	line(explanation, "Per row");
	line(explanation, "  Columns read: %s", columns.len > 0 ? columns.data : "none");
	if (spec->where != NULL)
		line(explanation, "  Filter, first of all: %s", source_text(explanation, spec->where));
	line(explanation, "  Input columns: %d, of which %d computed; aggregates: %d",
		 spec->ninputs, spec->ninputs - simple, spec->naggregates);
}

static const char *
column_type(const StateColumn *column)
{
	return format_type_with_typemod(column->type, column->typmod);
}

/* What the key that is the window's is of. */
static const char *const window_notes[] = {
	[WINDOW_TUMBLING] = " (window)",
	[WINDOW_PANES] = " (pane)",
	[WINDOW_SESSION] = " (of the session's first row)",
};

static void
explain_keys(Explanation *explanation)
{
	const ViewSpec *spec = explanation->spec;

	if (spec->nkeys == 0)
		line(explanation, "  One group without key; it exists before the first row");
	for (int i = 0; i < spec->nkeys; i++)
	{
		const GroupKey *key = &spec->keys[i];
		bool		window = spec->window.kind != WINDOW_NONE && spec->window.key == i;

		if (spec->window.kind == WINDOW_PANES && spec->window.key + 1 == i)
		{
			line(explanation, "  Key %s %s: -infinity, or where the first window ends that the rows were not late for",
				 quote_identifier(key->column.name), column_type(&key->column));
			continue;
		}
		line(explanation, "  Key %s %s: %s%s%s", quote_identifier(key->column.name), column_type(&key->column),
			 source_text(explanation, input_expr(spec, key->input)),
			 !window ? "" : window_notes[spec->window.kind],
			 key->equal_image ? "" : " (of equal values the one that sorts last by bytes is kept)");
	}
}

static void
explain_aggregates(Explanation *explanation)
{
	const ViewSpec *spec = explanation->spec;

	if (spec->window.kind == WINDOW_SESSION)
		line(explanation, "  %s %s: %s (of the session's last row)", quote_identifier(spec->window.session.last.name),
			 column_type(&spec->window.session.last), source_text(explanation, spec->window.time));
	for (int i = 0; i < spec->naggregates; i++)
	{
		const FoldAggregate *fold = &spec->aggregates[i];
		StringInfoData columns;

		initStringInfo(&columns);
		for (int j = 0; j < fold->nstate; j++)
			appendStringInfo(&columns, "%s%s %s", j > 0 ? ", " : "",
							 quote_identifier(fold->state[j].name), column_type(&fold->state[j]));
		line(explanation, "  %s: %s; %s", source_text(explanation, (Expr *) fold->aggref),
			 columns.data, aggregate_story(fold));
	}
}

static void
explain_state(Explanation *explanation)
{
	line(explanation, "State in table %s", qualified_name(explanation->row->state_table));
	explain_keys(explanation);
	explain_aggregates(explanation);
}

static char *
interval_text(const Interval *interval)
{
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
}

/* Sessions that are not final yet, and when the first of them will be. */
static void
explain_open_sessions(Explanation *explanation, List *context)
{
	const ViewRow *row = explanation->row;
	char	   *settled = deparse_expression((Node *) explanation->spec->window.end, context, false, false);
	bool		isnull;
	int64		n;

	if (pg_class_aclcheck(row->state_table, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return;
	if (explanation->spec->window.time_type == TIMESTAMPOID)
		settled = psprintf("(%s AT TIME ZONE 'UTC')", settled);
	SPI_connect();
	SPI_execute(psprintf("SELECT pg_catalog.count(*), pg_catalog.min(t)::pg_catalog.text"
						 " FROM (SELECT %s + %s::pg_catalog.interval AS t FROM %s AS state) s"
						 " WHERE (t OPERATOR(pg_catalog.<=) deltaflow.watermark_of(%u::pg_catalog.regclass)) IS NOT TRUE",
						 settled, quote_literal_cstr(interval_text(row->lateness)), qualified_name(row->state_table), row->state_table),
				true, 1);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (n == 0)
		line(explanation, "  Open sessions: none");
	else
		line(explanation, "  Open sessions: " INT64_FORMAT ", the first of them final at watermark %s", n,
			 SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	SPI_finish();
}

/* Sessions: what makes and ends them. */
static void
explain_sessions(Explanation *explanation)
{
	const ViewSpec *spec = explanation->spec;
	const Interval *lateness = explanation->row->lateness;
	List	   *context = deparse_context_for("state", explanation->row->state_table);
	char	   *gap = interval_text(DatumGetIntervalP(spec->window.session.interval->constvalue));

	line(explanation, "  Session: [%s, %s + %s); a row exactly that long after the last begins a new one",
		 quote_identifier(spec->keys[spec->window.key].column.name), quote_identifier(spec->window.session.last.name), gap);
	if (lateness == NULL)
		line(explanation, "  No lateness: no row is late and no session becomes final");
	else
	{
		line(explanation, "  A row is late when its time + %s + %s <= watermark", gap, interval_text(lateness));
		line(explanation, "  A session is final when its end + %s + %s <= watermark: no row that is not late can touch it then",
			 gap, interval_text(lateness));
		explain_open_sessions(explanation, context);
	}
	line(explanation, "  Shown: %s", explanation->row->emit_close ? "final sessions only" : "every session, as it is now");
}

/* Windows made of panes. */
static void
explain_panes(Explanation *explanation)
{
	const PaneSpec *panes = &explanation->spec->window.panes;
	bool		hop = panes->shape.kind == SHAPE_HOP;
	const Interval *lateness = explanation->row->lateness;
	Interval	pane = {panes->shape.pane};

	line(explanation, "  Windows: %s, one every %s, %s %s; %d a row, panes of %s", hop ? "hopping" : "cumulative",
		 interval_text(DatumGetIntervalP(panes->step->constvalue)), hop ? "of" : "up to",
		 interval_text(DatumGetIntervalP(panes->size->constvalue)), window_shape_count(&panes->shape), interval_text(&pane));
	if (lateness == NULL)
		line(explanation, "  No lateness: no row is late and no window becomes final");
	else
		line(explanation, "  A row is late for a window, and the window final, when window_end + %s <= watermark", interval_text(lateness));
	line(explanation, "  Shown: %s", explanation->row->emit_close ? "final windows only" : "every window, as it is now");
}

static void
explain_window(Explanation *explanation)
{
	const ViewSpec *spec = explanation->spec;
	const Interval *lateness = explanation->row->lateness;
	List	   *context = deparse_context_for("state", explanation->row->state_table);

	line(explanation, "Time");
	if (spec->window.kind == WINDOW_NONE)
	{
		line(explanation, "  No window: no row is late and no group becomes final");
		return;
	}
	if (spec->window.kind == WINDOW_SESSION)
	{
		explain_sessions(explanation);
		return;
	}
	if (spec->window.kind == WINDOW_PANES)
	{
		explain_panes(explanation);
		return;
	}
	line(explanation, "  Window: [%s, %s)", quote_identifier(spec->keys[spec->window.key].column.name),
		 deparse_expression((Node *) spec->window.end, context, false, false));
	if (lateness == NULL)
		line(explanation, "  No lateness: no row is late and no group becomes final");
	else
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(lateness)));

		line(explanation, "  A row is late, and a group final, when window end + %s <= watermark", text);
	}
	line(explanation, "  Shown: %s", explanation->row->emit_close ? "final groups only" : "every group, as it is now");
}

static void
explain_settings(Explanation *explanation)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, explanation->row->pinned)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", (char *) lfirst(lc));
	line(explanation, "Settings used: %s", text.data);
}

List *
view_explain(const ViewRow *row)
{
	Explanation explanation = {row};
	ViewRefusal *refusal = view_load(row, &explanation.spec);

	if (refusal != NULL)
		view_refusal_raise(refusal);
	explanation.pipeline = pipeline_by_id(row->pipeline_id);
	explanation.context = deparse_context_for(get_rel_name(explanation.spec->source_relid), explanation.spec->source_relid);

	explain_source(&explanation);
	explain_row(&explanation);
	explain_state(&explanation);
	explain_window(&explanation);
	explanation.lines = list_concat(explanation.lines, explain_time(row, explanation.spec, explanation.pipeline));
	explain_settings(&explanation);
	return explanation.lines;
}
