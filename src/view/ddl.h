/*
 * ddl.h
 *		CREATE, and what follows the live view: names, schema, owner, DROP.
 */
#ifndef DELTAFLOW_VIEW_DDL_H
#define DELTAFLOW_VIEW_DDL_H

#include "datatype/timestamp.h"

#include "catalog/catalog.h"
#include "view/view_spec.h"

/* The arguments of deltaflow.create_view. */
typedef struct CreateView
{
	const char *name;			/* maybe with schema */
	const char *query;			/* the definition as text, or NULL: */
	Oid			from_view;		/* the plain view that holds it */
	Interval   *lateness;		/* NULL: no row is late */
	const char *emit;			/* update or close */
	const char *start;			/* of the first view over a topic; NULL: the topic's own */
	const char *options;		/* jsonb text */
} CreateView;

/* Makes the view, or finds it made already; returns its name as it was given. */
extern const char *view_create(const CreateView *create);

/* Sets options of a view; those not named stay.  Workers act when that commits. */
extern void view_alter_options(const ViewRow *row, const char *options);

/* The definition's text analysed, errors pointing into it. */
extern Query *definition_parse(const char *text);

/* The text without trailing semicolon, for CREATE VIEW ... AS. */
extern char *definition_statement(const char *text);

/* SQL that makes the objects of a view (live_sql.c); schema and names unquoted. */
extern char *state_table_sql(const ViewSpec *spec, const char *schema, const char *state);
extern char *state_index_sql(const ViewSpec *spec, const char *schema, const char *state, const char *index);
extern char *state_global_row_sql(const ViewSpec *spec, const char *schema, const char *state);	/* NULL when there are keys */

/* final_after: the lateness after which groups become visible; NULL: all groups are. */
extern char *live_view_sql(const ViewSpec *spec, Oid state, const Interval *final_after, const char *schema, const char *name);

/* schema.name of a relation, quoted. */
extern char *qualified_name(Oid relid);

/* Runs one utility or other command as the caller. */
extern void run_command(const char *command);

/* After DDL on these relations, the objects of the views among them are brought in line. */
extern void views_follow(const Oid *relids, int n);

/* Removes what is left of views whose live view is among these dropped relations; refuses to lose a part alone. */
extern void views_dropped(const Oid *relids, int n);

/* Makes the dependencies among a view's relations, or all views' of a pipeline, that are not there (a restored dump has none). */
extern void view_bind(const ViewRow *row);
extern void views_bind(int64 pipeline_id);

#endif							/* DELTAFLOW_VIEW_DDL_H */
