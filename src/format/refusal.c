/*
 * refusal.c
 *		Making the value that says why a record is not a row.
 *
 * Texts are palloc'd in the context current at the call.  A record may be
 * megabytes of nonsense, and input functions quote it whole, so every text is cut.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "compat.h"
#include "format/refusal.h"

#define MESSAGE_BYTES 500
#define EXCERPT_BYTES 100

/*
 * A copy that is cut at a character's boundary; "..." says so.  SQL_ASCII knows no
 * characters, but texts of records are UTF-8 there, and clients read them so.
 */
static char *
cut(const char *text, size_t len, int limit)
{
	int			keep;

	if (len <= (size_t) limit)
		return pnstrdup(text, len);
	keep = pg_encoding_mbcliplen(GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding(),
								 text, Min(len, (size_t) limit * 2), limit);
	return psprintf("%.*s...", keep, text);
}

/* A text from a record as it may stand in a message. */
char *
excerpt(const char *text, size_t len)
{
	return cut(text, len, EXCERPT_BYTES);
}

/* Fills in all parts.  Stage is "decode" until someone knows better. */
bool
refuse_with_detail(Refusal *refusal, int sqlstate, const char *column, char *message, char *detail)
{
	refusal->sqlstate = sqlstate;
	refusal->stage = "decode";
	refusal->message = message;
	refusal->detail = detail;
	refusal->column = column ? pstrdup(column) : NULL;
	return false;
}

/* A refusal with a message only. */
bool
refuse_record(Refusal *refusal, int sqlstate, const char *column, const char *message, ...)
{
	va_list		args;
	char		buffer[MESSAGE_BYTES * 2];

	va_start(args, message);
	vsnprintf(buffer, sizeof(buffer), message, args);
	va_end(args);
	return refuse_with_detail(refusal, sqlstate, column, pstrdup(buffer), NULL);
}

/* A refusal from an error's message, detail and code. */
bool
refuse_error(Refusal *refusal, const char *column, const ErrorData *error)
{
	char	   *detail = NULL;

	if (error->detail != NULL)
		detail = cut(error->detail, strlen(error->detail), MESSAGE_BYTES);
	return refuse_with_detail(refusal, error->sqlerrcode, column,
							  cut(error->message, strlen(error->message), MESSAGE_BYTES), detail);
}
