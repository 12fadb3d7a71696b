/*
 * topic.h
 *		A topic's foreign table, its server and user mapping, read into one struct.
 */
#ifndef DELTAFLOW_FDW_TOPIC_H
#define DELTAFLOW_FDW_TOPIC_H

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "kafka/consumer.h"

typedef enum TopicColumnKind
{
	COLUMN_VALUE,				/* a field of the record's value, by path */
	COLUMN_PARTITION,			/* the rest: OPTIONS (metadata '...') */
	COLUMN_OFFSET,
	COLUMN_TIMESTAMP,
	COLUMN_KEY,
	COLUMN_HEADERS,
	COLUMN_TOPIC,
	COLUMN_UNKNOWN_FIELDS
} TopicColumnKind;

typedef enum TimeUnit
{
	UNIT_NONE,					/* bare numbers are refused for date/time columns */
	UNIT_SECONDS,
	UNIT_MILLISECONDS,
	UNIT_MICROSECONDS
} TimeUnit;

typedef struct TopicColumn
{
	AttrNumber	attnum;
	char	   *name;			/* column name */
	Oid			type;
	int32		typmod;
	TopicColumnKind kind;
	int			path_len;		/* COLUMN_VALUE: field 'a.b' is {"a","b"}; default: the column's name */
	char	  **path;
	TimeUnit	unit;
} TopicColumn;

typedef enum OnError
{
	ON_ERROR_DEAD_LETTER,
	ON_ERROR_STOP,
	ON_ERROR_SKIP
} OnError;

/* What becomes of a row whose event time is more than max_future ahead. */
typedef enum OnFuture
{
	ON_FUTURE_KEEP,				/* a row like others, but the watermark does not follow it */
	ON_FUTURE_DEAD_LETTER
} OnFuture;

typedef struct Topic
{
	Oid			relid;			/* the foreign table */
	char	   *name;			/* in the broker */
	char	   *format;			/* json, csv, raw */
	char	   *key_format;
	char	   *start;			/* option start, default earliest */
	AttrNumber	event_time;		/* column, 0 when none */
	int64		watermark_delay;	/* microseconds */
	int64		max_future;		/* microseconds */
	int64		idle_timeout;	/* microseconds; 0: silence never counts */
	OnFuture	on_future;
	int64		dead_limit;		/* so many dead letters; 0: any number */
	int64		dead_window;	/* of so many records */
	OnError		on_error;
	TupleDesc	desc;
	int			ncolumns;		/* one entry per live (not dropped) attribute */
	TopicColumn *columns;
	KafkaOption *options;		/* for consumer_open: server's, mapping's, table's; the last one of a name counts */
	int			noptions;
	/* options only some formats read (delimiter, ...), as name/value text */
	KafkaOption *format_options;
	int			nformat_options;
} Topic;

/*
 * Reads all of it, palloc'd in CurrentMemoryContext.  The user mapping is that
 * of userid (PUBLIC's when it has none).  ERROR when relid is not a foreign
 * table of deltaflow_kafka.
 */
extern Topic *topic_load(Oid relid, Oid userid);

/* Whether relid is a foreign table of wrapper deltaflow_kafka. */
extern bool is_topic(Oid relid);

#endif							/* DELTAFLOW_FDW_TOPIC_H */
