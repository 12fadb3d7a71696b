/*
 * volatility.c
 *		Whether an expression means the same for a row now, tomorrow and in batch.
 *
 * Immutable functions do.  Volatile ones never do.  A stable function is allowed only
 * when it is one of pg_catalog's whose result depends on settings that a view pins
 * (TimeZone, DateStyle, IntervalStyle, lc_*, ...) and on nothing else: the tables
 * below.  A function that reads the clock, the session or the catalogs is refused by
 * name with what to write instead.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "compat.h"
#include "view/rules.h"

/* Stable functions of pg_catalog that follow from their arguments and pinned settings, with all their overloads. */
static const char *const follows_settings[] = {
	/* between timestamptz and what has no zone */
	"timestamptz", "timestamp", "date", "time", "timetz", "timezone",
	/* calendar */
	"date_trunc", "date_part", "extract", "date_bin", "date_add", "date_subtract", "make_timestamptz",
	"timestamptz_pl_interval", "timestamptz_mi_interval", "interval_pl_timestamptz", "overlaps",
	/* text of values and back, by a pattern */
	"to_char", "to_timestamp", "to_date", "to_number",
	"timestamptz_out", "timestamp_out", "date_out", "cash_out", "enum_out", "enum_in", "bpchar",
	/* comparisons across types */
	"date_lt_timestamptz", "date_le_timestamptz", "date_eq_timestamptz", "date_ne_timestamptz",
	"date_gt_timestamptz", "date_ge_timestamptz", "date_cmp_timestamptz",
	"timestamp_lt_timestamptz", "timestamp_le_timestamptz", "timestamp_eq_timestamptz", "timestamp_ne_timestamptz",
	"timestamp_gt_timestamptz", "timestamp_ge_timestamptz", "timestamp_cmp_timestamptz",
	"timestamptz_lt_date", "timestamptz_le_date", "timestamptz_eq_date", "timestamptz_ne_date",
	"timestamptz_gt_date", "timestamptz_ge_date", "timestamptz_cmp_date",
	"timestamptz_lt_timestamp", "timestamptz_le_timestamp", "timestamptz_eq_timestamp", "timestamptz_ne_timestamp",
	"timestamptz_gt_timestamp", "timestamptz_ge_timestamp", "timestamptz_cmp_timestamp",
	/* money */
	"money", "numeric", "cash_in",
};

/* Stable because they print values of any type: allowed when each argument's own output is. */
static const char *const prints_arguments[] = {
	"concat", "concat_ws", "format", "anytextcat", "textanycat", "array_to_string", "array_out", "quote_literal",
	"quote_nullable", "to_json", "to_jsonb", "json_build_array", "json_build_object", "jsonb_build_array",
	"jsonb_build_object", "array_to_json",
};

/* Functions of pg_catalog that people reach for, and what to write instead. */
static const struct
{
	const char *name;
	const char *alternative;
}			alternatives[] =
{
	{"now", "Compare with the clock in the query that reads the live view."},
	{"transaction_timestamp", "Compare with the clock in the query that reads the live view."},
	{"statement_timestamp", "Compare with the clock in the query that reads the live view."},
	{"clock_timestamp", "Compare with the clock in the query that reads the live view."},
	{"timeofday", "Compare with the clock in the query that reads the live view."},
	{"age", "Give age two arguments, or compute it in the query that reads the live view."},
	{"random", "Take a hash of a column, for example hashtext(key)."},
	{"gen_random_uuid", "Use the record's partition and offset, from metadata columns of the topic, to name a row."},
	{"nextval", "Use the record's partition and offset, from metadata columns of the topic, to name a row."},
	{"to_tsvector", "Name the text search configuration, for example to_tsvector('english', ...)."},
	{"plainto_tsquery", "Name the text search configuration as the first argument."},
	{"current_setting", "Write the value as a constant, or as deltaflow.param(name, value)."},
	{"timestamptz_in", "Declare the column as timestamptz, or use to_timestamp(text, format)."},
	{"timestamp_in", "Declare the column as timestamp, or use to_timestamp(text, format)."},
	{"date_in", "Declare the column as date, or use to_date(text, format)."},
	{"interval_in", "Declare the column as interval, or use make_interval."},
};

static bool
is_listed(const char *name, const char *const *list, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

/* Whether the text of a value of this type follows from the value and pinned settings. */
static bool
output_follows(Oid type)
{
	Oid			element = get_element_type(type);
	Oid			function;
	bool		is_varlena;

	if (OidIsValid(element))
		return output_follows(element);
	if (type == UNKNOWNOID)
		return true;
	getTypeOutputInfo(type, &function, &is_varlena);
	return func_volatile(function) == PROVOLATILE_IMMUTABLE ||
		(function < FirstNormalObjectId && is_listed(get_func_name(function), follows_settings, lengthof(follows_settings)));
}

/* Types of a call's arguments; a variadic array counts as its elements do. */
static bool
arguments_print(Node *call)
{
	List	   *args;
	ListCell   *lc;

	if (IsA(call, FuncExpr))
		args = ((FuncExpr *) call)->args;
	else if (IsA(call, OpExpr))
		args = ((OpExpr *) call)->args;
	else if (IsA(call, CoerceViaIO))
		args = list_make1(((CoerceViaIO *) call)->arg);
	else
		return false;

	foreach(lc, args)
		if (!output_follows(exprType(lfirst(lc))))
			return false;
	return true;
}

/* A function of pg_catalog that only its own story makes stable. */
static bool
stable_is_pinned(Oid function, const char *name, Node *call)
{
	if (function >= FirstNormalObjectId)
		return false;
	if (is_listed(name, prints_arguments, lengthof(prints_arguments)))
		return arguments_print(call);
	return is_listed(name, follows_settings, lengthof(follows_settings));
}

static const char *
alternative_to(Oid function, const char *name)
{
	if (function < FirstNormalObjectId)
		for (int i = 0; i < lengthof(alternatives); i++)
			if (strcmp(name, alternatives[i].name) == 0)
				return alternatives[i].alternative;
	return NULL;
}

/* Callback state of check_functions_in_node. */
typedef struct Offender
{
	Node	   *call;
	Oid			function;		/* first one that changes, InvalidOid */
} Offender;

static bool
function_changes(Oid function, void *context)
{
	Offender   *offender = context;
	char		volatility = func_volatile(function);

	if (volatility == PROVOLATILE_IMMUTABLE ||
		get_func_prokind(function) == PROKIND_AGGREGATE ||
		(volatility == PROVOLATILE_STABLE &&
		 stable_is_pinned(function, get_func_name(function), offender->call)))
		return false;
	offender->function = function;
	return true;
}

static ViewRefusal *
refuse_function(Oid function, int location)
{
	char	   *name = get_func_name(function);
	const char *alternative = alternative_to(function, name);
	bool		is_volatile = func_volatile(function) == PROVOLATILE_VOLATILE;
	const char *message = psprintf("%s function %s is not supported in the definition of a continuous view",
								   is_volatile ? "volatile" : "stable", format_procedure(function));

	if (alternative == NULL)
		alternative = function >= FirstNormalObjectId
			? "If its result depends on nothing but its arguments, declare it IMMUTABLE; else call it in the query that reads the live view."
			: "Call it in the query that reads the live view.";
	return refuse(location, message,
				  is_volatile ? "Its result may differ from call to call, so live and batch answers would differ."
				  : "Its result may change between statements, so live and batch answers would differ.",
				  alternative);
}

/* CURRENT_DATE, CURRENT_USER and their family have nodes of their own. */
static ViewRefusal *
refuse_sql_value(const SQLValueFunction *value)
{
	bool		is_time = value->op <= SVFOP_LOCALTIMESTAMP_N;

	return refuse(value->location,
				  is_time ? "the current date or time is not supported in the definition of a continuous view"
				  : "the current user, role, catalog or schema is not supported in the definition of a continuous view",
				  is_time ? "It would be the time of maintenance for live rows and the time of the query in batch."
				  : "Workers and readers are different sessions.",
				  is_time ? "Compare with the clock in the query that reads the live view."
				  : "Use it in the query that reads the live view.");
}

static bool
changing_walker(Node *node, ViewRefusal **refusal)
{
	Offender	offender = {node, InvalidOid};

	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
		*refusal = refuse_sql_value((SQLValueFunction *) node);
	else if (IsA(node, NextValueExpr))
		*refusal = refuse_function(F_NEXTVAL, -1);
	else if (check_functions_in_node(node, function_changes, &offender))
		*refusal = refuse_function(offender.function, exprLocation(node));
	if (*refusal != NULL)
		return true;
	return expression_tree_walker(node, changing_walker, refusal);
}

ViewRefusal *
refuse_changing(Node *expression)
{
	ViewRefusal *refusal = NULL;

	(void) changing_walker(expression, &refusal);
	return refusal;
}
