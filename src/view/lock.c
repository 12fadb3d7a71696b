/*
 * lock.c
 *		Locks on everything that a continuous view is made of, in one order.
 *
 * DDL of the server locks relations first and reaches our event triggers, which want
 * the pipeline's row, with those locks held.  So the order for everybody who waits is:
 * relations, then the pipeline's row.  Among a view's relations the live view leads,
 * as it does for ALTER, DROP and readers:
 *
 *		live view -> state table -> batch view -> what the definition reads
 *
 * A worker holds the row when it comes to relations.  It does not wait for any: what
 * is busy ends its attempt, and the row is free for whoever holds the relation.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "view/lock.h"

/* A walk over the relations of a definition. */
typedef struct LockWalk
{
	bool		wait;
	Oid			view;			/* whose definition is walked: older servers list it in its own range table */
	Oid			busy;
} LockWalk;

static bool lock_definition(Oid relid, LockWalk *walk);

/* False when the relation is busy; one that does not exist counts as locked. */
static bool
take_lock(Oid relid, LOCKMODE mode, LockWalk *walk)
{
	if (walk->wait)
		LockRelationOid(relid, mode);
	else if (!ConditionalLockRelationOid(relid, mode))
		walk->busy = relid;
	return !OidIsValid(walk->busy);
}

/* Locks the relations of a query, its subqueries and sublinks; true ends the walk. */
static bool
lock_relations_walker(Node *node, LockWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		const RangeTblEntry *rte = (const RangeTblEntry *) node;

		return rte->rtekind == RTE_RELATION && rte->relid != walk->view && !lock_definition(rte->relid, walk);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, lock_relations_walker, walk, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, lock_relations_walker, walk);
}

/* Locks a relation as a reader and, when it is a view, what it reads. */
static bool
lock_definition(Oid relid, LockWalk *walk)
{
	Oid			outer = walk->view;
	Relation	relation;

	check_stack_depth();
	if (!take_lock(relid, AccessShareLock, walk))
		return false;
	relation = try_relation_open(relid, NoLock);
	if (relation == NULL)
		return true;
	if (relation->rd_rel->relkind == RELKIND_VIEW)
	{
		walk->view = relid;
		(void) lock_relations_walker((Node *) get_view_query(relation), walk);
		walk->view = outer;
	}
	relation_close(relation, NoLock);
	return !OidIsValid(walk->busy);
}

Oid
view_lock(const ViewRow *row, LOCKMODE state_mode, bool wait)
{
	LockWalk	walk = {.wait = wait};

	if (take_lock(row->live, AccessShareLock, &walk) && take_lock(row->state_table, state_mode, &walk))
		(void) lock_definition(row->batch, &walk);
	return walk.busy;
}

/* Somebody else changes the relation: for a worker the attempt is over, and tried again. */
void
relation_busy(Oid relid)
{
	char	   *name = get_rel_name(relid);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 name != NULL ? errmsg("could not lock relation \"%s\"", name) :
			 errmsg("could not lock relation with OID %u", relid),
			 errhint("Another session is changing it.")));
}

void
relation_lock(Oid relid, LOCKMODE mode, bool wait)
{
	LockWalk	walk = {.wait = wait};

	if (!take_lock(relid, mode, &walk))
		relation_busy(relid);
}
