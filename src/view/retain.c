/*
 * retain.c
 *		What option retain asks of a view.
 *
 * Windows that are removed must be late for all rows, so that none begins anew; and the
 * view must show its windows, so that reconcile can leave out those removed.  Sessions
 * have, besides, an index by their first time: theirs is by key, and old ones would be
 * found by reading all (maintain/session_expire.c).  The first time of a session hardly
 * ever changes, so the index costs a session one entry and leaves its updates in place.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "maintain/state_table.h"
#include "view/ddl.h"
#include "view/load.h"
#include "view/retain.h"
#include "view/window_output.h"
#include "window/lateness.h"

void
retain_check(const ViewSettings *options, const Interval *lateness)
{
	if (options->retain == VIEW_RETAIN_ALL)
		return;
	if (lateness == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("option \"retain\" needs a view with lateness"),
				 errdetail("Without lateness a row of any age counts, and would begin a removed window anew."),
				 errhint("Create the view with lateness.")));
	if (options->retain < lateness_length(lateness))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"retain\" is shorter than lateness"),
				 errdetail("A window cannot be removed while rows for it still count."),
				 errhint("Retain windows for at least the lateness.")));
}

void
retain_check_shown(const ViewSpec *spec)
{
	bool		sessions = spec->window.kind == WINDOW_SESSION;

	if (spec->window.kind == WINDOW_NONE || window_is_shown(spec))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("option \"retain\" needs a view that shows its windows"),
			 errdetail("Without them nobody could tell which rows of the definition were removed from the live view."),
			 sessions ? errhint("Add the session, or its lower() or upper(), to the select list.") :
			 errhint("Add the start of the window to the select list.")));
}

/* Is there an index that old sessions can be removed along? */
static bool
has_index_led_by(Oid relid, AttrNumber column)
{
	Relation	relation = table_open(relid, AccessShareLock);
	Relation	index = index_led_by(relation, column, AccessShareLock);

	if (index != NULL)
		index_close(index, AccessShareLock);
	table_close(relation, AccessShareLock);
	return index != NULL;
}

void
retain_make_index(const ViewSpec *spec, Oid state_table)
{
	const StateColumn *first;

	if (spec->window.kind != WINDOW_SESSION)
		return;
	first = &spec->keys[spec->window.key].column;
	if (!has_index_led_by(state_table, first->attnum))
		run_command(psprintf("CREATE INDEX ON %s USING btree (%s)",
							 qualified_name(state_table), quote_identifier(first->name)));
}

void
retain_prepare(const ViewRow *row, const char *options)
{
	ViewSettings settings = view_options_parse(options);
	Identity	before;
	ViewSpec   *spec;
	ViewRefusal *refusal;

	if (settings.retain == VIEW_RETAIN_ALL)
		return;
	retain_check(&settings, row->lateness);
	before = identity_become(GetUserId(), row->pinned);
	refusal = view_load(row, &spec);
	if (refusal != NULL)
		view_refusal_raise(refusal);
	identity_restore(before);
	retain_check_shown(spec);
	retain_make_index(spec, row->state_table);
}
