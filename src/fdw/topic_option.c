/*
 * topic_option.c
 *		The options of a topic and of its columns.
 *
 * In go a name and a text, out comes a field of Topic or TopicColumn, or a
 * refusal as a value.  The validator runs the same setters on a draft that it
 * throws away, so what it accepts is what topic_load understands.  Options of a
 * format's own (delimiter, ...) are that format's affair: see format.h.
 */
#include "postgres.h"

#include <inttypes.h>

#include "datatype/timestamp.h"

#include "fdw/option_value.h"
#include "fdw/start.h"
#include "fdw/topic_option.h"
#include "format/format.h"

/* A word and what it stands for. */
typedef struct Word
{
	const char *text;
	int			value;
} Word;

static const Word on_error_words[] = {
	{"dead_letter", ON_ERROR_DEAD_LETTER},
	{"stop", ON_ERROR_STOP},
	{"skip", ON_ERROR_SKIP},
	{NULL}
};

static const Word on_future_words[] = {
	{"keep", ON_FUTURE_KEEP},
	{"dead_letter", ON_FUTURE_DEAD_LETTER},
	{NULL}
};

static const Word unit_words[] = {
	{"s", UNIT_SECONDS},
	{"ms", UNIT_MILLISECONDS},
	{"us", UNIT_MICROSECONDS},
	{NULL}
};

static const Word metadata_words[] = {
	{"partition", COLUMN_PARTITION},
	{"offset", COLUMN_OFFSET},
	{"timestamp", COLUMN_TIMESTAMP},
	{"key", COLUMN_KEY},
	{"headers", COLUMN_HEADERS},
	{"topic", COLUMN_TOPIC},
	{"unknown_fields", COLUMN_UNKNOWN_FIELDS},
	{NULL}
};

/* Looks a word up; false when it is not in the table. */
static bool
word_value(const Word *words, const char *text, int *value)
{
	for (; words->text != NULL; words++)
	{
		if (strcmp(words->text, text) == 0)
		{
			*value = words->value;
			return true;
		}
	}
	return false;
}

/* Kafka's rule for names of topics. */
static bool
apply_topic(TopicDraft *draft, const char *value)
{
	size_t		length = strlen(value);

	draft->topic->name = pstrdup(value);
	return length >= 1 && length <= 249 &&
		strcmp(value, ".") != 0 && strcmp(value, "..") != 0 &&
		strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

static bool
apply_format(TopicDraft *draft, const char *value)
{
	draft->topic->format = pstrdup(value);
	return format_exists(value);
}

/* A key is one value, so not every format of records is one of keys. */
static bool
apply_key_format(TopicDraft *draft, const char *value)
{
	draft->topic->key_format = pstrdup(value);
	return strcmp(value, "raw") == 0 || strcmp(value, "json") == 0;
}

/* A time that means another moment in another session's zone is refused. */
static bool
apply_start(TopicDraft *draft, const char *value)
{
	Start		start;

	draft->topic->start = pstrdup(value);
	return start_parse(value, &start) && (start.kind != START_TIME || start.has_zone);
}

/* Whether there is such a column is known to topic_load only. */
static bool
apply_event_time(TopicDraft *draft, const char *value)
{
	draft->event_time = pstrdup(value);
	return value[0] != '\0';
}

static bool
apply_watermark_delay(TopicDraft *draft, const char *value)
{
	return parse_span(value, &draft->topic->watermark_delay);
}

static bool
apply_max_future(TopicDraft *draft, const char *value)
{
	return parse_span(value, &draft->topic->max_future);
}

static bool
apply_idle_timeout(TopicDraft *draft, const char *value)
{
	return parse_span(value, &draft->topic->idle_timeout) && draft->topic->idle_timeout > 0;
}

static bool
apply_on_future(TopicDraft *draft, const char *value)
{
	int			word;

	if (!word_value(on_future_words, value, &word))
		return false;
	draft->topic->on_future = (OnFuture) word;
	return true;
}

static bool
apply_on_error(TopicDraft *draft, const char *value)
{
	int			word;

	if (!word_value(on_error_words, value, &word))
		return false;
	draft->topic->on_error = (OnError) word;
	return true;
}

/* "10000 of 20000", or "none" */
static bool
apply_dead_letter_limit(TopicDraft *draft, const char *value)
{
	Topic	   *topic = draft->topic;
	int			length = 0;

	topic->dead_limit = topic->dead_window = 0;
	if (strcmp(value, "none") == 0)
		return true;
	return strspn(value, "0123456789 of") == strlen(value) &&
		sscanf(value, "%9" SCNd64 " of %9" SCNd64 "%n", &topic->dead_limit, &topic->dead_window, &length) == 2 &&
		length == (int) strlen(value) &&
		topic->dead_limit > 0 && topic->dead_limit < topic->dead_window;
}

static bool
apply_metadata(TopicColumn *column, const char *value)
{
	int			word;

	if (!word_value(metadata_words, value, &word))
		return false;
	column->kind = (TopicColumnKind) word;
	return true;
}

static bool
apply_field(TopicColumn *column, const char *value)
{
	return parse_field(value, &column->path_len, &column->path);
}

static bool
apply_unit(TopicColumn *column, const char *value)
{
	int			word;

	if (!word_value(unit_words, value, &word))
		return false;
	column->unit = (TimeUnit) word;
	return true;
}

/* By default more than half of the last records must be dead. */
#define DEAD_LIMIT	10000
#define DEAD_WINDOW	20000

#define SPAN "a span of fixed length such as 30 s, 5 min or 1 day"

const TopicOption topic_options[] = {
	{"topic", "the name of a topic: up to 249 letters, digits, dots, underscores and hyphens", apply_topic},
	{"format", NULL, apply_format},
	{"key_format", "raw or json", apply_key_format},
	{"start", START_VALUES "; a timestamp must name its time zone", apply_start},
	{"event_time", "the name of a column", apply_event_time},
	{"watermark_delay", SPAN, apply_watermark_delay},
	{"max_future", SPAN, apply_max_future},
	{"on_future", "keep or dead_letter", apply_on_future},
	{"idle_timeout", SPAN ", not zero", apply_idle_timeout},
	{"on_error", "dead_letter, stop or skip", apply_on_error},
	{"dead_letter_limit", "dead letters of records such as 10000 of 20000, or none", apply_dead_letter_limit},
	{NULL}
};

const ColumnOption column_options[] = {
	{"metadata", "partition, offset, timestamp, key, headers, topic or unknown_fields", apply_metadata},
	{"field", "the path of a field such as a or a.b; a backslash before a dot takes it as part of a name", apply_field},
	{"unit", "s, ms or us", apply_unit},
	{NULL}
};

const TopicOption *
find_topic_option(const char *name)
{
	for (const TopicOption *option = topic_options; option->name != NULL; option++)
		if (strcmp(option->name, name) == 0)
			return option;
	return NULL;
}

const ColumnOption *
find_column_option(const char *name)
{
	for (const ColumnOption *option = column_options; option->name != NULL; option++)
		if (strcmp(option->name, name) == 0)
			return option;
	return NULL;
}

TopicDraft
topic_draft(void)
{
	Topic	   *topic = palloc0(sizeof(Topic));

	topic->format = pstrdup("json");
	topic->key_format = pstrdup("raw");
	topic->start = pstrdup("earliest");
	topic->max_future = USECS_PER_HOUR;
	topic->on_error = ON_ERROR_DEAD_LETTER;
	topic->dead_limit = DEAD_LIMIT;
	topic->dead_window = DEAD_WINDOW;
	return (TopicDraft) {.topic = topic};
}

const char *
column_kind_name(TopicColumnKind kind)
{
	for (const Word *word = metadata_words; word->text != NULL; word++)
		if (word->value == (int) kind)
			return word->text;
	return "value";
}
