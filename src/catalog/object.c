/*
 * object.c
 *		A name given by a user to the ingest or view that it means.
 *
 * An ingest goes by its own name; a view, and also an ingest, by the name of its
 * relation, looked up as the caller would in SQL.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/varlena.h"

#include "catalog/catalog.h"
#include "compat.h"

/* The relation of that name in the caller's search_path, InvalidOid when there is none. */
static Oid
relation_by_name(const char *name)
{
	List	   *parts;
	char	   *copy = pstrdup(name);

	/* a name that is not an identifier list cannot be a relation's */
	if (!SplitIdentifierString(copy, '.', &parts) || parts == NIL || list_length(parts) > 3)
		return InvalidOid;
	return RangeVarGetRelid(makeRangeVarFromNameList(stringToQualifiedNameList(name, NULL)), NoLock, true);
}

NamedObject *
object_by_name(const char *name)
{
	NamedObject *object = palloc0(sizeof(NamedObject));
	Oid			relid;

	object->pipeline = pipeline_by_name(name);
	if (object->pipeline != NULL)
		return object;

	relid = relation_by_name(name);
	if (OidIsValid(relid))
	{
		object->view = view_by_live(relid);
		object->pipeline = object->view != NULL ? pipeline_by_id(object->view->pipeline_id) :
			pipeline_by_target(relid);
		if (object->pipeline == NULL)
			object->pipeline = pipeline_of_topic(relid);
	}
	if (object->pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("ingest or view \"%s\" does not exist", name),
				 errhint("SELECT name, kind FROM deltaflow.status lists them.")));
	return object;
}
