/*
 * load.h
 *		The spec of a continuous view that exists, as everything is now.
 */
#ifndef DELTAFLOW_VIEW_LOAD_H
#define DELTAFLOW_VIEW_LOAD_H

#include "catalog/catalog.h"
#include "view/view_spec.h"

/*
 * Makes the spec from the stored definition and fills in the relations.  A refusal,
 * with the next step in its hint, when the definition, its source, the state table
 * or the server's major version no longer fit what the state was made for: the view
 * must not be maintained then.  Run it as the view's owner, with its pinned settings.
 * Waits for the locks of view_lock(); a worker takes those before, without waiting.
 */
extern ViewRefusal *view_load(const ViewRow *row, ViewSpec **spec);

/* After view_load, by whoever maintains the view: after pg_upgrade, stamps it with the server's new version. */
extern void view_adopt(ViewRow *row);

/* The source that a pipeline's views read: its target, or the topic. */
extern Oid	pipeline_source(const PipelineRow *pipeline);

/* Owner of the live view, which everything of the view runs as. */
extern Oid	view_owner(const ViewRow *row);

#endif							/* DELTAFLOW_VIEW_LOAD_H */
