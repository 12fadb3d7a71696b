/*
 * catalog.h
 *		Reading and writing deltaflow's own tables, one file per table behind it.
 *
 * Every function runs as the extension's owner whatever the caller may do, with
 * search_path pinned; checking privileges is the caller's business.  Structs are
 * palloc'd in CurrentMemoryContext.
 */
#ifndef DELTAFLOW_CATALOG_CATALOG_H
#define DELTAFLOW_CATALOG_CATALOG_H

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

typedef enum RunState
{
	STATE_RUNNING,
	STATE_PAUSED,
	STATE_FAILED,
	STATE_BACKFILLING			/* views only */
} RunState;

typedef struct PipelineRow
{
	int64		id;
	char	   *name;
	Oid			topic;
	Oid			target;			/* InvalidOid: views over the topic */
	char	   *filter;			/* NULL: none */
	char	   *start_at;		/* as the user gave it */
	char	   *options;		/* jsonb text */
	RunState	state;
	char	   *last_error;
	char	   *hint;
	int64		epoch;
	int64		generation;
	TimestampTz watermark;		/* DT_NOBEGIN when none */
	int64		system_identifier;
	Oid			database_id;
} PipelineRow;

typedef struct PositionRow
{
	int32		partition;
	int64		first_offset;
	int64		next_offset;
	int64		end_offset;		/* -1: not known */
	TimestampTz max_event_time; /* DT_NOBEGIN when none */
	TimestampTz active_at;		/* when a record of it was last taken, by the injectable clock */
	int64		future;			/* rows too far in the future to move the watermark */
	int64		consumed,
				applied,
				late,
				dead,
				filtered,
				redelivered;
	int64		fill_next,		/* of a view: what its filling has still to read */
				fill_upto;
} PositionRow;

/* How far the filling of a view over a table has got. */
typedef struct FillPoint
{
	FullTransactionId xid;		/* rows older than this are to be folded; invalid: not begun */
	Oid			relation;		/* in this leaf, and those of greater OID */
	int64		block;			/* of that leaf */
} FillPoint;

typedef struct ViewRow
{
	int64		id;
	int64		pipeline_id;
	Oid			live;
	Oid			batch;
	Oid			state_table;
	char	   *fingerprint;
	Interval   *lateness;		/* NULL: none */
	Interval   *final_after;	/* its end + this: final; for view_insert only */
	bool		emit_close;
	char	   *options;
	List	   *pinned;			/* of char *: "TimeZone=UTC" */
	int			server_major;
	RunState	state;
	char	   *last_error;
	char	   *hint;
	FillPoint	fill;			/* of STATE_BACKFILLING */
	TimestampTz horizon;		/* windows that begin before it, sessions that end by it are not kept; DT_NOBEGIN: all are */
} ViewRow;

/* pipeline.c */
extern PipelineRow *pipeline_by_id(int64 id);	/* NULL when gone */
extern PipelineRow *pipeline_by_name(const char *name);
extern PipelineRow *pipeline_by_target(Oid target);	/* the ingest that fills this table */
extern PipelineRow *pipeline_of_topic(Oid topic);	/* the pipeline of views over it */
extern List *pipeline_list(void);	/* all, by id */
extern List *pipeline_list_of_relation(Oid relid);	/* those with it as topic or target */
extern List *pipeline_list_of_other_topic(void);	/* those whose foreign table names another topic than when they were made */
extern int64 pipeline_insert(const PipelineRow *row);	/* stamped with this server and database */
extern void pipeline_delete(int64 id);	/* with positions, epochs; dead letters stay */

/* Locks the row until transaction end and returns it as it is now; NULL when gone.  Comes after locks on relations, before anything else of a pipeline. */
extern PipelineRow *pipeline_lock(int64 id);

/* Adds 1 to generation: the worker reloads before its next epoch. */
extern void pipeline_changed(int64 id);

/* Changes the state, and generation with it.  STATE_RUNNING adopts a copied pipeline for this server and database. */
extern void pipeline_set_state(int64 id, RunState state, const char *error, const char *hint);

/* Notes what the running pipeline is struggling with; the next epoch that commits clears it. */
extern void pipeline_set_trouble(int64 id, const char *error, const char *hint);

/*
 * Locks the row for the next epoch: false when it is not running, or epoch or
 * generation are not what the caller believes, that is, somebody else ran or
 * changed the pipeline.
 */
extern bool pipeline_begin_epoch(int64 id, int64 last_epoch, int64 generation);
extern void pipeline_end_epoch(int64 id, int64 epoch, TimestampTz watermark, double rows_per_second);

/* attempt.c: starts of a worker that have not led to a committed epoch, which clears the count */
extern int	pipeline_attempts(int64 id);
extern void pipeline_count_attempt(int64 id);
extern void pipeline_clear_attempts(int64 id);

/* position.c */
extern List *position_list(int64 pipeline_id);	/* of PositionRow, by partition */
extern List *position_list_seen(int64 pipeline_id);	/* the same by the active snapshot, not by one taken now */
extern void position_insert(int64 pipeline_id, int32 partition, int64 first_offset);

/* Stores *now where next_offset is still expected_next; ERROR (serialization failure) otherwise. */
extern void position_advance(int64 pipeline_id, const PositionRow *now, int64 expected_next);

/* Sets a partition's next offset by hand; false when there is no such row. */
extern bool position_move(int64 pipeline_id, int32 partition, int64 next_offset);

/* view.c */
extern ViewRow *view_by_live(Oid live);
extern List *view_list(int64 pipeline_id);	/* of ViewRow, by id */
extern int64 view_insert(const ViewRow *row);
extern void view_delete(int64 id);	/* with its positions and late rows */

/* STATE_BACKFILLING also forgets how far an earlier filling got. */
extern void view_set_state(int64 id, RunState state, const char *error, const char *hint);
extern void view_set_fill(int64 id, const FillPoint *fill);
extern void view_forget_fills(int64 pipeline_id);	/* unfinished fillings begin again */
extern void view_stamp(int64 id, const char *fingerprint, int server_major);
extern void view_add_late(int64 id, int64 n);
extern void view_set_horizon(int64 id, TimestampTz horizon);
extern void view_set_options(int64 id, const char *options);
extern List *view_position_list(int64 view_id);	/* of PositionRow: first_offset, end_offset unused */
extern void view_position_put(int64 view_id, const PositionRow *row);	/* insert or replace */

/* epoch.c, dead_letter.c, late_row.c */
extern void epoch_insert(int64 pipeline_id, int64 epoch, TimestampTz watermark,
						 int32 partition, int64 first_offset, int64 next_offset, int64 records);
extern void epoch_prune(int64 pipeline_id, int64 upto_epoch);	/* forgets epochs up to that one */

/* Forgets epochs that committed before then, among the oldest max_epochs; returns rows removed. */
extern uint64 epoch_prune_before(int64 pipeline_id, TimestampTz before, int max_epochs);

#include "format/format.h"
#include "kafka/position_set.h"
#include "kafka/record.h"

/* Whose dead letter it is: a pipeline's, or one view's of a topic. */
typedef struct DeadLetterOf
{
	int64		pipeline_id;
	int64		view_id;		/* 0: the pipeline's, so that of all its views */
	const char *name;			/* of the pipeline */
	const char *topic;
} DeadLetterOf;
extern void dead_letter_insert(const DeadLetterOf *of, const KafkaRecord *record, const Refusal *why, int attempts);
extern bool dead_letter_exists(const DeadLetterOf *of, const KafkaRecord *record);	/* this one's, or its pipeline's */

/* Records of a partition, from up to but not including upto, will be read again: what was decided of them is void. */
extern void dead_letters_read_again(int64 pipeline_id, int32 partition, int64 from, int64 upto);

/* The records of a topic that on_future set aside, for the view or its pipeline; by the active snapshot. */
extern PositionSet dead_letters_of_future(int64 pipeline_id, int64 view_id);
extern void late_row_insert(int64 view_id, int64 epoch, const char *topic, const KafkaRecord *record,
							TimestampTz event_time, TimestampTz window_start, TimestampTz window_end,
							bool left_out, const char *row_json);

/*
 * Notes that late rows count now, and moves them in the books: those of windows that
 * begin in [since, until), or of event times in it.
 */
extern void late_rows_taken_in_by_id(int64 view_id, Datum *ids, int n);
extern void late_rows_taken_in(int64 view_id, bool by_event_time, TimestampTz since, TimestampTz until);

/* name -> ingest or view; ERROR with a hint when neither exists */
typedef struct NamedObject
{
	PipelineRow *pipeline;		/* always set */
	ViewRow    *view;			/* NULL: the name is an ingest's */
} NamedObject;
extern NamedObject *object_by_name(const char *name);

/* identity.c: run a stretch of code as somebody, restricted; always paired, PG_FINALLY included */
typedef struct Identity
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} Identity;
extern Identity identity_become(Oid userid, List *settings);	/* SECURITY_RESTRICTED_OPERATION, search_path = pg_catalog, pg_temp, plus "name=value" settings */
extern Identity identity_become_owner(void);	/* the extension's owner, for catalog work */
extern void identity_restore(Identity before);

#endif							/* DELTAFLOW_CATALOG_CATALOG_H */
