/*
 * options.c
 *		The options of one continuous view: names, defaults and limits in one table.
 *
 * Besides, the catalog's column holds notes of our own ("from_view"), which users
 * cannot give and which are not options.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "fdw/option_value.h"
#include "view/options.h"

typedef struct OptionRule
{
	const char *name;
	size_t		place;			/* in ViewSettings */
	bool		(*read) (const JsonbValue *value, int64 *result);
	const char *expects;
} OptionRule;

/* A whole number greater than 0. */
static bool
read_count(const JsonbValue *value, int64 *result)
{
	Datum		number;

	if (value->type != jbvNumeric)
		return false;
	number = NumericGetDatum(value->val.numeric);
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, DirectFunctionCall1(int8_numeric, Int64GetDatum(1)))) < 0 ||
		DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, DirectFunctionCall1(int8_numeric, Int64GetDatum(PG_INT64_MAX)))) > 0)
		return false;
	*result = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
	return true;
}

/* The text of a JSON string, NULL for anything else. */
static char *
text_of(const JsonbValue *value)
{
	return value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

/* A number of bytes, or a text with a unit. */
static bool
read_size(const JsonbValue *value, int64 *result)
{
	char	   *text = text_of(value);

	if (text == NULL)
		return read_count(value, result);
	*result = DatumGetInt64(DirectFunctionCall1(pg_size_bytes, CStringGetTextDatum(text)));
	return *result > 0;
}

static bool
read_span(const JsonbValue *value, int64 *result)
{
	char	   *text = text_of(value);

	return text != NULL && parse_span(text, result);
}

static const OptionRule rules[] = {
	{"retain", offsetof(ViewSettings, retain), read_span, "a span of fixed length such as \"30 days\""},
	{"max_open_windows", offsetof(ViewSettings, max_open_windows), read_count, "a number greater than 0"},
	{"max_groups", offsetof(ViewSettings, max_groups), read_count, "a number greater than 0"},
	{"max_state_bytes", offsetof(ViewSettings, max_state_bytes), read_size, "a number of bytes or a size such as \"10 GB\""},
};

static const ViewSettings defaults = {
	.retain = VIEW_RETAIN_ALL,
	.max_open_windows = 100000,
	.max_groups = INT64CONST(1000) * 1000 * 1000,
	.max_state_bytes = INT64CONST(100) * 1024 * 1024 * 1024,
};

/* Of an option that is null. */
static const ViewSettings none = {
	.retain = VIEW_RETAIN_ALL,
};

/* The rule of that name; NULL when there is none. */
static const OptionRule *
rule_named(const char *name)
{
	for (int i = 0; i < lengthof(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

static void
refuse_unrecognized(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized option \"%s\"", name),
			 errhint("Options of a continuous view are retain, max_open_windows, max_groups and max_state_bytes.")));
}

/* Stores one option; null takes a cap or a limit away. */
static void
set_option(ViewSettings *options, const OptionRule *rule, const JsonbValue *value)
{
	int64	   *place = (int64 *) ((char *) options + rule->place);

	if (value->type == jbvNull)
		*place = *(const int64 *) ((const char *) &none + rule->place);
	else if (!rule->read(value, place))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", rule->name),
				 errhint("It is %s, or null for none.", rule->expects)));
}

/* Reads all; what is no option is an ERROR when strict. */
static ViewSettings
parse(const char *json, bool strict)
{
	ViewSettings options = defaults;
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	const OptionRule *rule = NULL;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example '{\"retain\": \"30 days\"}'.")));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char	   *name = pnstrdup(value.val.string.val, value.val.string.len);

			rule = rule_named(name);
			if (rule == NULL && strict)
				refuse_unrecognized(name);
		}
		else if (token == WJB_VALUE && rule != NULL)
			set_option(&options, rule, &value);
	}
	return options;
}

ViewSettings
view_options_parse(const char *json)
{
	return parse(json, false);
}

void
view_options_check(const char *json)
{
	(void) parse(json, true);
}

bool
view_options_equal(const char *one, const char *other)
{
	ViewSettings a = view_options_parse(one);
	ViewSettings b = view_options_parse(other);

	return memcmp(&a, &b, sizeof(ViewSettings)) == 0;
}
