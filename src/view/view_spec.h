/*
 * view_spec.h
 *		What a definition means to the engine: the contract between view/, which
 *		makes it from the analysed query, and maintain/ and batch/, which run it.
 *
 * A spec is derived from the stored batch view whenever it is needed, never kept
 * in a catalog.  All of it lives in the memory context current when it was made.
 */
#ifndef DELTAFLOW_VIEW_VIEW_SPEC_H
#define DELTAFLOW_VIEW_VIEW_SPEC_H

#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

#include "compat.h"
#include "window/pane.h"

/* How one aggregate is kept.  State columns in the order given. */
typedef enum FoldKind
{
	FOLD_COUNT,					/* count(*), count(x)            n int8 */
	FOLD_SUM_INT,				/* sum(int2|int4)                sum int8 (NULL: no input) */
	FOLD_SUM_INT8,				/* sum(int8)                     sum numeric */
	FOLD_SUM_NUMERIC,			/* sum(numeric)                  sum numeric */
	FOLD_SUM_FLOAT,				/* sum(float4|float8)            sum float8[]: exact, non-overlapping, canonical */
	FOLD_AVG_INT,				/* avg(int2|int4)                n int8, sum int8 */
	FOLD_AVG_INT8,				/* avg(int8)                     n int8, sum numeric */
	FOLD_AVG_NUMERIC,			/* avg(numeric)                  n int8, sum numeric */
	FOLD_AVG_FLOAT,				/* avg(float4|float8)            n int8, sum float8[] */
	FOLD_VAR_EXACT,				/* variance family, int2|int4|int8|numeric: n int8, sum numeric, sum of squares numeric */
	FOLD_VAR_FLOAT,				/* variance family, float4|float8: n int8, sum float8[], sum of squares float8[] */
	FOLD_MIN,					/* min(x)                        x */
	FOLD_MAX,					/* max(x)                        x */
	FOLD_PLAIN,					/* other aggregate with combinefn, state type not internal: state of that type */
	FOLD_SERIAL					/* other aggregate with combine and serial functions: state bytea */
} FoldKind;

/* One column of the state table. */
typedef struct StateColumn
{
	char	   *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
	AttrNumber	attnum;			/* in the state table, from 1, keys first */
	char	   *initial;		/* of a group without input, as text: "0" of counts, a transition state's initcond; NULL: null */
} StateColumn;

/* One grouping expression; keys stand in the index's order, the window first. */
typedef struct GroupKey
{
	StateColumn column;
	int			input;			/* its column in the input row, from 0 */
	Oid			eq_function;	/* btree equality and order of the type */
	Oid			hash_function;	/* InvalidOid: none, compare only */
	Oid			sort_operator;	/* btree less-than */
	bool		equal_image;	/* equal values have equal bytes; else the greatest image represents the group */
} GroupKey;

typedef struct FoldAggregate
{
	FoldKind	kind;
	Aggref	   *aggref;			/* over source columns (varno 1); for its function, types, collation */
	int			filter;			/* input column of the FILTER condition, -1: none */
	int			nargs;
	int		   *args;			/* input columns of the arguments */
	int			nstate;
	StateColumn *state;
} FoldAggregate;

typedef enum WindowKind
{
	WINDOW_NONE,
	WINDOW_TUMBLING,			/* date_bin or date_trunc in GROUP BY */
	WINDOW_PANES,				/* deltaflow.hop or cumulate: state per pane, windows are made when read */
	WINDOW_SESSION				/* deltaflow.session: state per session */
} WindowKind;

/* Columns of the window in a definition's expressions above its call: see WindowCall. */
#define WINDOW_VARNO	2

/*
 * Windows that overlap share panes: pieces of time within which a row's windows do
 * not change.  keys[0] is the pane's start, keys[1] (hidden) open_from: -infinity,
 * or the end of the first window for which the group's rows were not late.  A window
 * holds the groups of its panes with open_from <= window_end.
 */
typedef struct PaneSpec
{
	WindowShape shape;			/* which windows and panes a time has */
	Const	   *step;			/* slide of hop, step of cumulate: as given */
	Const	   *size;
	Const	   *origin;
	bool		by_start;		/* GROUP BY tells windows apart by where they begin, */
	bool		by_end;			/* or end: at the calendar's ends these are not the same */
} PaneSpec;

/*
 * A session's columns are the keys of PARTITION BY, its first time (the last of keys[]),
 * its last time, and the aggregates.
 */
typedef struct SessionSpec
{
	int64		gap;			/* microseconds */
	Const	   *interval;		/* the same as given */
	StateColumn last;
} SessionSpec;

typedef struct WindowSpec
{
	WindowKind	kind;
	int			key;			/* which of keys[] is the window's (the pane's) start, the session's first time */
	Expr	   *time;			/* the event time expression, over source columns (varno 1) */
	Oid			time_type;		/* timestamptz or timestamp (date_trunc of date is over a cast) */
	Expr	   *end;			/* window's (pane's) end from its start: Var(varno 1, attno 1) is the start */
	PaneSpec	panes;			/* of WINDOW_PANES */
	SessionSpec session;		/* of WINDOW_SESSION; its `end` is over the state row: final once end + lateness <= watermark */
} WindowSpec;

typedef struct ViewSpec
{
	/* identity; InvalidOid while only being checked */
	Oid			view_relid;		/* live view */
	Oid			batch_relid;	/* <name>_batch */
	Oid			state_relid;
	Oid			source_relid;	/* table or topic, the one relation of FROM */

	/* input: run over each source row; Vars have varno 1; planned, ready for ExecInitExpr */
	Expr	   *where;			/* implicit-AND'ed into one, NULL: all rows */
	List	   *input_tlist;	/* TargetEntry: keys, then aggregates' filters and arguments */
	int			ninputs;
	Bitmapset  *source_columns; /* attribute numbers that where and input_tlist read */

	/* state */
	int			nkeys;			/* 0: one global group, which always exists */
	GroupKey   *keys;
	int			naggregates;	/* equal aggregates of the definition share one */
	FoldAggregate *aggregates;
	int			nstate_columns; /* keys and aggregates together */

	WindowSpec	window;

	/*
	 * output: over the state row, Vars have varno 1 and state attnums; panes: over the
	 * merged states of a window, and Vars of WINDOW_VARNO are its start (1) and end (2)
	 */
	List	   *output_tlist;	/* the live view's columns */
	Expr	   *having;			/* NULL: none */
} ViewSpec;

/* Why a definition cannot be kept.  A value; DDL raises it with refusal_raise(). */
typedef struct ViewRefusal
{
	int			sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
	int			location;		/* in the definition's text, -1 */
} ViewRefusal;

/* Makes the spec of an analysed definition.  NULL, or why it cannot be kept. */
extern ViewRefusal *view_analyse(Query *definition, ViewSpec **spec);
pg_noreturn extern void view_refusal_raise(const ViewRefusal *refusal);
pg_noreturn extern void view_refusal_raise_at(const ViewRefusal *refusal, const char *text);

/* The analysed query of a stored plain view (copied, locks taken as for a reader). */
extern Query *view_definition(Oid batch_relid);

/*
 * A text by which to tell that the definition means something else than before.
 * Compare with view_fingerprint_same, never with strcmp: renames and dump/restore
 * change parts of it.
 */
extern char *view_fingerprint(Oid batch_relid);
extern char *view_query_fingerprint(const Query *query);
extern bool view_fingerprint_same(const char *one, const char *other);

#endif							/* DELTAFLOW_VIEW_VIEW_SPEC_H */
