/*
 * encoding.c
 *		UTF-8 from a record to the server's encoding.
 *
 * Records are UTF-8.  In a database of another encoding each text is converted
 * when it is known to be wanted; the conversion functions are called in the way
 * that reports a character without equivalent instead of throwing.  A database of
 * encoding SQL_ASCII takes the bytes as they are.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "compat.h"
#include "format/refusal.h"
#include "format/value.h"

/* Whether bytes are UTF-8 without NUL, as every text from a record must be. */
bool
text_verify(const char *text, size_t len, const char *column, Refusal *refusal)
{
	if (pg_verify_mbstr(PG_UTF8, text, len, true))
		return true;
	return refuse_record(refusal, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, column,
						 "invalid byte sequence for encoding \"UTF8\"");
}

/* The conversion function from UTF-8, looked up once per backend. */
static Oid
conversion_from_utf8(void)
{
	static Oid	conversion = InvalidOid;

	if (!OidIsValid(conversion))
		conversion = FindDefaultConversionProc(PG_UTF8, GetDatabaseEncoding());
	if (!OidIsValid(conversion))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("default conversion function for encoding \"UTF8\" to \"%s\" does not exist",
						GetDatabaseEncodingName())));
	return conversion;
}

/* Text that is valid UTF-8; on return it is the server's, palloc'd if it had to change. */
bool
text_to_server(const char **text, size_t *len, const char *column, Refusal *refusal)
{
	int			encoding = GetDatabaseEncoding();
	size_t		room = *len * MAX_CONVERSION_GROWTH + 1;
	char	   *converted;
	int			done;

	if (likely(encoding == PG_UTF8) || encoding == PG_SQL_ASCII)
		return true;
	if (room > MaxAllocSize)
		return refuse_record(refusal, ERRCODE_PROGRAM_LIMIT_EXCEEDED, column,
							 "text of %zu bytes is too long to convert", *len);
	converted = palloc(room);
	done = pg_do_encoding_conversion_buf(conversion_from_utf8(), PG_UTF8, encoding,
										 (unsigned char *) *text, *len,
										 (unsigned char *) converted, room, true);
	if (done < (int) *len)
		return refuse_record(refusal, ERRCODE_UNTRANSLATABLE_CHARACTER, column,
							 "character in record has no equivalent in encoding \"%s\"",
							 GetDatabaseEncodingName());
	*text = converted;
	*len = strlen(converted);
	return true;
}
