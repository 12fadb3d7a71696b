/*
 * explain_time.h
 *		What deltaflow.explain says about time: the watermark, and what closes when.
 */
#ifndef DELTAFLOW_VIEW_EXPLAIN_TIME_H
#define DELTAFLOW_VIEW_EXPLAIN_TIME_H

#include "catalog/catalog.h"
#include "view/view_spec.h"

/* Lines as text; none when the topic has no event time. */
extern List *explain_time(const ViewRow *row, const ViewSpec *spec, const PipelineRow *pipeline);

#endif							/* DELTAFLOW_VIEW_EXPLAIN_TIME_H */
