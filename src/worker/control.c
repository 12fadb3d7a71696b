/*
 * control.c
 *		Pause, resume, run once.
 *
 * In: an ingest or view found by name.  Out: its state in the catalog, changed in
 * the caller's transaction; workers act when that commits.
 *
 * Pausing an ingest, or a pipeline of views over a topic, stops its worker after
 * the epoch at hand; resuming goes on at the stored offsets.  Pausing a view lets
 * its pipeline and the other views go on; what it misses meanwhile it gets when it
 * is resumed, by being filled again.
 *
 * Locks: the pipeline's row, and no relation after it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "ingest/epoch.h"
#include "view/ddl.h"
#include "view/retain.h"
#include "worker/control.h"
#include "worker/wake.h"

Oid
object_relation(const NamedObject *object)
{
	if (object->view != NULL)
		return object->view->live;
	return OidIsValid(object->pipeline->target) ? object->pipeline->target : object->pipeline->topic;
}

static bool
is_owner(const NamedObject *object)
{
	Oid			relid = object_relation(object);

	return superuser() ||
		(get_rel_name(relid) != NULL && object_ownercheck(RelationRelationId, relid, GetUserId()));
}

static void
check_owner(const NamedObject *object)
{
	Oid			relid = object_relation(object);

	if (!is_owner(object))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* Takes the pipeline's lock; the row may have gone since the object was found. */
static void
lock_pipeline(const NamedObject *object)
{
	if (pipeline_lock(object->pipeline->id) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("ingest \"%s\" does not exist", object->pipeline->name)));
}

/* Without workers a changed state alone moves nothing. */
static void
notice_no_workers(const NamedObject *object)
{
	if (!workers_possible())
		ereport(NOTICE,
				(errmsg("no worker will process \"%s\"", object->pipeline->name),
				 errdetail("The server does not preload deltaflow."),
				 errhint("Add deltaflow to shared_preload_libraries and restart the server, or call deltaflow.run_once('%s').",
						 object->pipeline->name)));
}

void
control_pause(const NamedObject *object)
{
	check_owner(object);
	lock_pipeline(object);
	if (object->view != NULL)
	{
		view_set_state(object->view->id, STATE_PAUSED, NULL, NULL);
		pipeline_changed(object->pipeline->id);
	}
	else
		pipeline_set_state(object->pipeline->id, STATE_PAUSED, NULL, NULL);
	wake_workers_at_commit();
}

/* A view that took no part for a while is filled again before it goes on. */
static void
resume_view(const NamedObject *object)
{
	if (object->view->state == STATE_PAUSED || object->view->state == STATE_FAILED)
	{
		view_set_state(object->view->id, STATE_BACKFILLING, NULL, NULL);
		pipeline_changed(object->pipeline->id);
	}
	if (object->pipeline->state != STATE_RUNNING)
		ereport(NOTICE,
				(errmsg("the source of view \"%s\" is %s", get_rel_name(object->view->live),
						object->pipeline->state == STATE_PAUSED ? "paused" : "failed"),
				 errhint("Call deltaflow.resume('%s').", object->pipeline->name)));
}

void
control_resume(const NamedObject *object)
{
	check_owner(object);
	lock_pipeline(object);
	views_bind(object->pipeline->id);
	if (object->view != NULL)
		resume_view(object);
	else
	{
		pipeline_set_state(object->pipeline->id, STATE_RUNNING, NULL, NULL);
		pipeline_clear_attempts(object->pipeline->id);
	}
	wake_workers_at_commit();
	notice_no_workers(object);
}

int64
control_resume_all(void)
{
	int64		resumed = 0;
	ListCell   *lc;

	foreach(lc, pipeline_list())
	{
		NamedObject object = {.pipeline = lfirst(lc)};
		ListCell   *lv;

		if (object.pipeline->state != STATE_RUNNING && is_owner(&object))
		{
			control_resume(&object);
			object.pipeline->state = STATE_RUNNING;
			resumed++;
		}
		foreach(lv, view_list(object.pipeline->id))
		{
			object.view = lfirst(lv);
			if ((object.view->state == STATE_PAUSED || object.view->state == STATE_FAILED) && is_owner(&object))
			{
				control_resume(&object);
				resumed++;
			}
		}
	}
	return resumed;
}

int64
control_run_once(const NamedObject *object, bool close_windows)
{
	const PipelineRow *row = object->pipeline;

	check_owner(object);
	if (row->system_identifier != (int64) GetSystemIdentifier() || row->database_id != MyDatabaseId)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipeline \"%s\" was made in another database or server", row->name),
				 errhint("If it is to run here, call deltaflow.resume('%s') first.", row->name)));
	return pipeline_run_once(row->id, close_windows);
}

void
control_set_options(const NamedObject *object, const char *options)
{
	if (object->view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a continuous view", object->pipeline->name),
				 errhint("SELECT name FROM deltaflow.status WHERE kind = 'view' lists them.")));
	check_owner(object);
	view_options_check(options);
	retain_prepare(object->view, options);
	lock_pipeline(object);
	view_alter_options(view_by_live(object->view->live), options);
}
