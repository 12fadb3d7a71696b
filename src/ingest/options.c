/*
 * options.c
 *		The options of one ingest: names, defaults and limits in one table.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "ingest/options.h"

typedef enum OptionKind
{
	OPTION_BOOL,
	OPTION_INT
} OptionKind;

typedef struct OptionRule
{
	const char *name;
	OptionKind	kind;
	size_t		place;			/* in IngestOptions */
	int			least;
	int			most;
} OptionRule;

static const OptionRule rules[] = {
	{"synchronous_commit", OPTION_BOOL, offsetof(IngestOptions, synchronous_commit), 0, 1},
	{"discovery_interval", OPTION_INT, offsetof(IngestOptions, discovery_interval), 1, 24 * 60 * 60},
};

static const IngestOptions defaults = {
	.synchronous_commit = false,
	.discovery_interval = 30,
};

/* The rule of that name; ERROR when there is none. */
static const OptionRule *
rule_named(const char *name)
{
	for (int i = 0; i < lengthof(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized option \"%s\"", name),
			 errhint("Options of an ingest are synchronous_commit and discovery_interval.")));
}

/* A JSON value to a number (booleans 0 and 1); false when it is neither. */
static bool
value_as_int(const JsonbValue *value, int *result)
{
	if (value->type == jbvBool)
		*result = value->val.boolean;
	else if (value->type == jbvNumeric)
		*result = DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value->val.numeric)));
	else
		return false;
	return true;
}

/* Stores one option. */
static void
set_option(IngestOptions *options, const char *name, const JsonbValue *value)
{
	const OptionRule *rule = rule_named(name);
	void	   *place = (char *) options + rule->place;
	int			number;

	if (!value_as_int(value, &number) || (value->type == jbvBool) != (rule->kind == OPTION_BOOL) ||
		number < rule->least || number > rule->most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 rule->kind == OPTION_BOOL ? errhint("It is true or false.") :
				 errhint("It is a number from %d to %d.", rule->least, rule->most)));
	if (rule->kind == OPTION_BOOL)
		*(bool *) place = number != 0;
	else
		*(int *) place = number;
}

IngestOptions
ingest_options_parse(const char *json)
{
	IngestOptions options = defaults;
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example '{\"synchronous_commit\": true}'.")));
	for (;;)
	{
		JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, true);

		if (token == WJB_DONE)
			return options;
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			set_option(&options, name, &value);
	}
}
