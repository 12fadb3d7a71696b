/*
 * format.h
 *		Bytes of a record to a row of the topic's foreign table, and back.
 *
 * A decoder is compiled once from the topic and the set of columns anyone needs,
 * and then called per record.  What is wrong with a record is a value, never an
 * exception, for every type that has a fast path; input functions of other types
 * may throw, and the caller knows which record it was at.
 */
#ifndef DELTAFLOW_FORMAT_FORMAT_H
#define DELTAFLOW_FORMAT_FORMAT_H

#include "nodes/bitmapset.h"

#include "fdw/topic.h"
#include "kafka/record.h"

/* Why a record is not a row.  Text is palloc'd in the context current at the call. */
typedef struct Refusal
{
	int			sqlstate;
	const char *stage;			/* "decode" or "check" (NOT NULL, CHECK of the topic) */
	char	   *message;		/* Postgres style, without position */
	char	   *detail;			/* NULL when none */
	char	   *column;			/* column it concerns, NULL when none */
} Refusal;

typedef struct Decoder Decoder;

/*
 * needed: attribute numbers of the columns to fill (NULL: all); the others are
 * set NULL.  NOT NULL and CHECK constraints of the foreign table are enforced
 * only for constraints whose columns the set holds, so callers that store or
 * fold pass decoder_required() too.  Lives in CurrentMemoryContext.
 */
extern Decoder *decoder_create(const Topic *topic, const Bitmapset *needed);
extern void decoder_destroy(Decoder *decoder);

/* Columns that the topic's own constraints read. */
extern Bitmapset *decoder_required(const Topic *topic);

/*
 * One record into values[]/isnull[] (topic->desc->natts entries).  By-reference
 * values live in CurrentMemoryContext, or in the record itself for as long as
 * that.  Checks the foreign table's NOT NULL and CHECK constraints.
 * False: *refusal says why.
 */
extern bool decoder_decode(Decoder *decoder, const KafkaRecord *record,
						   Datum *values, bool *isnull, Refusal *refusal);

typedef struct Encoder Encoder;

typedef struct EncodedRecord
{
	int32		partition;		/* -1: not given */
	char	   *key;
	size_t		key_len;
	char	   *value;			/* NULL: tombstone */
	size_t		value_len;
	KafkaHeader *headers;
	int			nheaders;
} EncodedRecord;

extern Encoder *encoder_create(const Topic *topic);

/* One row of the foreign table to a record, palloc'd in CurrentMemoryContext. */
extern void encoder_encode(Encoder *encoder, const Datum *values, const bool *isnull, EncodedRecord *record);

/* The names accepted by option format, for the validator and its hint. */
extern bool format_exists(const char *name);
extern const char *format_names(void);

/* Whether option `name` is one of that format's own (delimiter of csv, ...); the validator asks. */
extern bool format_has_option(const char *format, const char *name);

/* GUCs: caps on bytes, depth and digits. */
extern void format_init_settings(void);

#endif							/* DELTAFLOW_FORMAT_FORMAT_H */
