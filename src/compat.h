/*
 * compat.h
 *		The one place for version differences between PostgreSQL 15 and 18.
 *
 * Code elsewhere uses the newest API's names; an entry here says what changed,
 * and since when.  No other file may test PG_VERSION_NUM (`make lint` checks).
 */
#ifndef DELTAFLOW_COMPAT_H
#define DELTAFLOW_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "deltaflow supports PostgreSQL 15 to 18"
#endif

/* 16: varatt.h left postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* What the entries below redefine is declared first, so that this header may come before any other. */
#include "common/jsonapi.h"
#include "utils/datetime.h"
#include "utils/regproc.h"

/* 16: DecodeDateTime says more about an error */
#if PG_VERSION_NUM < 160000
typedef struct DateTimeErrorExtra
{
	int			unused;
} DateTimeErrorExtra;
#define DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tzp, extra) \
	((void) (extra), DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tzp))
#endif

/* 16: name lists are parsed with soft errors */
#if PG_VERSION_NUM < 160000
#define stringToQualifiedNameList(string, escontext) stringToQualifiedNameList(string)
#endif

/*
 * 16: the privileges a query needs of a relation left the range table entry.
 * Asks for the current user's SELECT on the columns (offset by
 * FirstLowInvalidHeapAttributeNumber); drops whatever was asked for before, so it
 * is for queries with one relation.
 */
#if PG_VERSION_NUM >= 160000
#define compat_require_select(query, rte, columns) \
	do { \
		RTEPermissionInfo *info_; \
		(query)->rteperminfos = NIL; \
		(rte)->perminfoindex = 0; \
		info_ = addRTEPermissionInfo(&(query)->rteperminfos, (rte)); \
		info_->requiredPerms = ACL_SELECT; \
		info_->selectedCols = (columns); \
	} while (0)
#else
#define compat_require_select(query, rte, columns) \
	do { \
		(rte)->requiredPerms = ACL_SELECT; \
		(rte)->checkAsUser = InvalidOid; \
		(rte)->selectedCols = (columns); \
	} while (0)
#endif

/* 16: with the range table go its permissions, when one query takes over that of another */
#if PG_VERSION_NUM >= 160000
#define compat_take_range_table(query, other) \
	((query)->rtable = (other)->rtable, (query)->rteperminfos = (other)->rteperminfos, (other)->rteperminfos = NIL)
#else
#define compat_take_range_table(query, other) ((query)->rtable = (other)->rtable)
#endif

/* 16: one ownership check for all kinds of objects (commit afbfc02983) */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "utils/acl.h"
static inline bool
object_ownercheck(Oid classid, Oid objectid, Oid roleid)
{
	return classid == DatabaseRelationId ? pg_database_ownercheck(objectid, roleid) :
		pg_class_ownercheck(objectid, roleid);
}
#endif

/* 16: whose rights count for a relation is noted in the plan; before, in the range table */
#if PG_VERSION_NUM >= 160000
#define scan_check_as_user(node) (castNode(ForeignScan, (node)->ss.ps.plan)->checkAsUser)
#else
#define scan_check_as_user(node) \
	(exec_rt_fetch(castNode(ForeignScan, (node)->ss.ps.plan)->scan.scanrelid, (node)->ss.ps.state)->checkAsUser)
#define ExecGetResultRelCheckAsUser(info, estate) \
	(exec_rt_fetch(((info)->ri_RangeTableIndex != 0 ? (info) : (info)->ri_RootResultRelInfo)->ri_RangeTableIndex, \
				   estate)->checkAsUser ? \
	 exec_rt_fetch(((info)->ri_RangeTableIndex != 0 ? (info) : (info)->ri_RootResultRelInfo)->ri_RangeTableIndex, \
				   estate)->checkAsUser : GetUserId())
#endif

/* 17: foreign paths name the restrictions they use; 18: and count disabled nodes (include optimizer/pathnode.h before) */
#if PG_VERSION_NUM < 170000
#define create_foreignscan_path(root, rel, target, rows, disabled, startup, total, pathkeys, outer, outerpath, restrictions, private_list) \
	create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private_list)
#elif PG_VERSION_NUM < 180000
#define create_foreignscan_path(root, rel, target, rows, disabled, startup, total, pathkeys, outer, outerpath, restrictions, private_list) \
	create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, restrictions, private_list)
#endif

/* 16: leaf maps are made on demand */
#include "executor/executor.h"
#if PG_VERSION_NUM < 160000
#define ExecGetRootToChildMap(relinfo, estate) ((relinfo)->ri_RootToPartitionMap)
#endif

/* 17: MERGE actions; 18: ON CONFLICT action */
#if PG_VERSION_NUM < 170000
#define CheckValidResultRel(relinfo, operation, conflict, actions) CheckValidResultRel(relinfo, operation)
#elif PG_VERSION_NUM < 180000
#define CheckValidResultRel(relinfo, operation, conflict, actions) CheckValidResultRel(relinfo, operation, actions)
#endif

/* A range table of one relation.  16: permissions stand apart; 18: so does what run-time pruning left */
#if PG_VERSION_NUM >= 180000
#define compat_init_range_table(estate, rte) \
	do { \
		List *perminfos_ = NIL; \
		addRTEPermissionInfo(&perminfos_, rte); \
		ExecInitRangeTable(estate, list_make1(rte), perminfos_, bms_make_singleton(1)); \
	} while (0)
#elif PG_VERSION_NUM >= 160000
#define compat_init_range_table(estate, rte) \
	do { \
		List *perminfos_ = NIL; \
		addRTEPermissionInfo(&perminfos_, rte); \
		ExecInitRangeTable(estate, list_make1(rte), perminfos_); \
	} while (0)
#else
#define compat_init_range_table(estate, rte) ExecInitRangeTable(estate, list_make1(rte))
#endif

/* 18: generated columns may be virtual: expressions over them are expanded */
#if PG_VERSION_NUM < 180000
#define expand_generated_columns_in_expr(node, rel, varno) (node)
#endif

/* 17: extensions' wait events have names */
#include "utils/wait_event.h"
#if PG_VERSION_NUM < 170000
#define WaitEventExtensionNew(name) ((void) (name), PG_WAIT_EXTENSION)
#endif

/* 18: pg_noreturn stands before the declaration; pg_attribute_noreturn() is gone */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 16: permissions of a query stand in a list of their own */
#if PG_VERSION_NUM >= 160000
#define check_query_permissions(query) ExecCheckPermissions((query)->rtable, (query)->rteperminfos, true)
#else
#define check_query_permissions(query) ExecCheckRTPerms((query)->rtable, true)
#endif

/* 16: one function checks privileges, and one ownership, on objects of any catalog */
#if PG_VERSION_NUM >= 160000
#define function_aclcheck(function, role, mode) object_aclcheck(ProcedureRelationId, function, role, mode)
#define relation_ownercheck(relation, role) object_ownercheck(RelationRelationId, relation, role)
#else
#define function_aclcheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#define relation_ownercheck(relation, role) pg_class_ownercheck(relation, role)
#endif

/* 18: grouped Vars point at a range table entry of their own (RTE_GROUP) */
#if PG_VERSION_NUM >= 180000
#define rte_group_exprs(rte) ((rte)->rtekind == RTE_GROUP ? (rte)->groupexprs : NIL)
#else
#define rte_group_exprs(rte) ((void) (rte), NIL)
#endif

/* 18: generated columns may be virtual */
#if PG_VERSION_NUM < 180000
#define ATTRIBUTE_GENERATED_VIRTUAL 'v'
#endif

/* 16: input functions can report bad input without throwing */
#if PG_VERSION_NUM < 160000
#define COMPAT_NO_SOFT_ERRORS
#else
#include "nodes/miscnodes.h"
#endif

/* 17: the caller may own the lexer's memory */
#if PG_VERSION_NUM < 170000
#define makeJsonLexContextCstringLen(lex, json, len, encoding, need_escapes) \
	makeJsonLexContextCstringLen(json, len, encoding, need_escapes)
#endif

/* 18: CHECK constraints can be NOT ENFORCED */
#if PG_VERSION_NUM < 180000
#define check_is_enforced(check) ((void) (check), true)
#else
#define check_is_enforced(check) ((check)->ccenforced)
#endif

/* 18: index scans may be instrumented */
#include "access/genam.h"
#if PG_VERSION_NUM < 180000
#define index_beginscan(heap, index, snapshot, instrument, nkeys, norderbys) \
	((void) (instrument), index_beginscan(heap, index, snapshot, nkeys, norderbys))
#endif

/* 16: an update says which indexes need entries; some may need theirs though the update was HOT */
#include "executor/executor.h"
#if PG_VERSION_NUM < 160000
typedef bool TU_UpdateIndexes;
#define TU_None			false
#define only_summarizing(update_indexes) ((void) (update_indexes), false)
#define ExecInsertIndexTuples(result, slot, estate, update, noduperr, conflict, arbiters, summarizing) \
	((void) (summarizing), ExecInsertIndexTuples(result, slot, estate, update, noduperr, conflict, arbiters))
#else
#define only_summarizing(update_indexes) ((update_indexes) == TU_Summarizing)
#endif

/* 18: a query runs once */
#if PG_VERSION_NUM < 180000
#define ExecutorRun(query, direction, count) ExecutorRun(query, direction, count, true)
#endif

/* 18: an ordering operator's direction is a CompareType, no btree strategy */
#if PG_VERSION_NUM >= 180000
#include "access/cmptype.h"
#else
#include "access/stratnum.h"
typedef int16 CompareType;
#define COMPARE_LT BTLessStrategyNumber
#define COMPARE_GT BTGreaterStrategyNumber
#endif

/* 18: EXPLAIN's state and its formatting have headers of their own */
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* 16: ranges are made with soft errors */
#include "utils/rangetypes.h"
#if PG_VERSION_NUM < 160000
#define make_range(typcache, lower, upper, empty, escontext) make_range(typcache, lower, upper, empty)
#endif

#endif							/* DELTAFLOW_COMPAT_H */
