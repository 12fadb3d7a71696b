/*
 * codec.h
 *		One format behind the vtable: what format.c asks of json.c, csv.c and raw.c.
 */
#ifndef DELTAFLOW_FORMAT_CODEC_H
#define DELTAFLOW_FORMAT_CODEC_H

#include "lib/stringinfo.h"

#include "format/format.h"
#include "format/value.h"

/* A needed column and where its value comes from. */
typedef struct DecodeColumn
{
	const TopicColumn *column;
	ValueReader *reader;
	int			at;				/* in values[]: attnum - 1 */
	int			source;			/* the format's: token, field number */
} DecodeColumn;

struct Decoder
{
	/* immutable after creation */
	MemoryContext context;
	const Topic *topic;
	const struct Format *format;
	const struct Format *key_format;	/* json, or raw for everything else */
	int			nvalues;		/* needed columns of the record's value */
	DecodeColumn *values;
	int			nmetadata;		/* needed columns of kind metadata */
	DecodeColumn *metadata;
	DecodeColumn *unknown_fields;	/* one of metadata, NULL: not needed */
	struct RowCheck *check;		/* NULL: no constraint applies */

	/* the format's own */
	void	   *state;
};

typedef struct Format
{
	const char *name;
	const char *const *options; /* that only this format reads; ends with NULL */

	/* Prepares decoder->values for the format: sets `source` and `state`. */
	void		(*compile) (Decoder *decoder);

	/*
	 * One value of `len` bytes into the columns of decoder->values, and
	 * unknown_fields when needed.  The arrays are all NULL on entry.
	 */
	bool		(*decode) (Decoder *decoder, const char *data, size_t len,
						   Datum *values, bool *isnull, Refusal *refusal);

	/* Prepares writing, and writes one row; at least one value column is not NULL. */
	void	   *(*encode_compile) (const Topic *topic);
	void		(*encode) (void *state, const Datum *values, const bool *isnull, StringInfo out);
} Format;

extern const Format json_format;
extern const Format csv_format;
extern const Format raw_format;

/* The format of that name, NULL: there is none. */
extern const Format *format_find(const char *name);

/* Value of an option of the topic that only its format reads, NULL: not given. */
extern const char *format_option(const Topic *topic, const char *name);

/* json.c: one JSON value that is not inside an object (a key) */
extern bool json_value_decode(ValueReader *reader, const char *data, size_t len,
							  Datum *value, bool *isnull, Refusal *refusal);

/* row_check.c */
typedef struct RowCheck RowCheck;
extern RowCheck *row_check_create(const Topic *topic, const Bitmapset *needed);
extern bool row_check_run(RowCheck *check, Datum *values, bool *isnull, Refusal *refusal);

/* metadata.c */
extern void metadata_check(const TopicColumn *column);
extern bool metadata_decode(Decoder *decoder, const KafkaRecord *record,
							Datum *values, bool *isnull, Refusal *refusal);

#endif							/* DELTAFLOW_FORMAT_CODEC_H */
