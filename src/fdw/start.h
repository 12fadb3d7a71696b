/*
 * start.h
 *		Where reading of a topic begins: option start, and argument start of create_ingest.
 */
#ifndef DELTAFLOW_FDW_START_H
#define DELTAFLOW_FDW_START_H

#include "datatype/timestamp.h"
#include "kafka/consumer.h"

typedef enum StartKind
{
	START_EARLIEST,
	START_LATEST,
	START_TIME,
	START_OFFSETS
} StartKind;

typedef struct Start
{
	StartKind	kind;
	TimestampTz time;			/* of START_TIME; a text without zone was read in the session's */
	bool		has_zone;		/* whether the text named a zone, for those who keep the text */
	int			npositions;		/* of START_OFFSETS */
	KafkaPosition *positions;
} Start;

/* What start_parse takes, for hints. */
#define START_VALUES "earliest, latest, a timestamp, or offsets per partition such as {\"0\": 1042, \"1\": 77}"

/* 'earliest', 'latest', a timestamp, '{"0": 1042}'; false when the text is none of them.  Pure. */
extern bool start_parse(const char *text, Start *start);

/* Kafka's milliseconds since 1970, rounded up: a record at or behind the time has that timestamp or a later one. */
extern int64 kafka_milliseconds(TimestampTz time);

/* The way back. */
extern TimestampTz time_from_milliseconds(int64 milliseconds);

#endif							/* DELTAFLOW_FDW_START_H */
