/*
 * soft_call.c
 *		Calling input functions so that bad input is a value.
 *
 * Since 16 the server's input functions report bad input into an ErrorSaveContext
 * instead of throwing.  On 15 they throw, and PostgreSQL's rule is that an error
 * may be caught only around a subtransaction, because the code that threw may
 * have left locks, pins or half-made state behind.  A subtransaction per value is
 * out of the question, so here an error is caught without one, under three
 * conditions that leave nothing to clean up:
 *
 *	1.	The function is pure: it computes a Datum from its argument in palloc'd
 *		memory.  The list of pure types below is of core types whose input
 *		functions take no lock, pin no buffer or cache entry while they may throw,
 *		and touch no catalog.  (Arrays and ranges look their element type up on the
 *		first call; that is complete before the first byte is parsed.)
 *	2.	The error is one of the data: class 22, 54 (a limit such as nesting), or the
 *		syntax error that some input functions report.  Cancel, shutdown, lack of
 *		memory and everything else are thrown on.
 *	3.	What errfinish() and the throw itself change is put back: the exception and
 *		context stacks (PG_TRY does), the memory context, and the interrupt holdoff
 *		count, which errfinish() sets to zero.
 *
 * Everything else may throw, and callers of decoder_decode() expect that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "format/refusal.h"
#include "format/soft_call.h"

/* Core types whose input functions are pure.  No reg* types, no enums, no xml. */
static const Oid pure_types[] = {
	BOOLOID, BYTEAOID, CHAROID, NAMEOID, INT8OID, INT2OID, INT4OID, TEXTOID, OIDOID,
	TIDOID, XIDOID, CIDOID, JSONOID, JSONBOID, JSONPATHOID, POINTOID, LSEGOID, PATHOID,
	BOXOID, POLYGONOID, LINEOID, FLOAT4OID, FLOAT8OID, CIRCLEOID, CASHOID, MACADDROID,
	MACADDR8OID, INETOID, CIDROID, BPCHAROID, VARCHAROID, DATEOID, TIMEOID, TIMESTAMPOID,
	TIMESTAMPTZOID, INTERVALOID, TIMETZOID, BITOID, VARBITOID, NUMERICOID, UUIDOID,
	PG_LSNOID, TSVECTOROID, XID8OID,
	INT4RANGEOID, INT8RANGEOID, NUMRANGEOID, TSRANGEOID, TSTZRANGEOID, DATERANGEOID,
	INT4MULTIRANGEOID, INT8MULTIRANGEOID, NUMMULTIRANGEOID, TSMULTIRANGEOID,
	TSTZMULTIRANGEOID, DATEMULTIRANGEOID
};

/* Whether the input function of a type, or of its elements, is on the list. */
bool
type_input_is_pure(Oid type)
{
	Oid			element = get_element_type(type);

	for (int i = 0; i < lengthof(pure_types); i++)
		if (pure_types[i] == (OidIsValid(element) ? element : type))
			return true;
	return false;
}

/* Errors that blame the data, not the server's state. */
static bool
blames_data(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_DATA_EXCEPTION || class == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		sqlstate == ERRCODE_SYNTAX_ERROR;
}

/* Runs body(arg) and turns an error in the data into a refusal. */
bool
soft_call(SoftBody body, void *arg, const char *column, Refusal *refusal)
{
	MemoryContext caller = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;
	volatile bool fine = true;

	PG_TRY();
	{
		body(arg);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		if (!blames_data(geterrcode()))
			PG_RE_THROW();
		error = CopyErrorData();
		FlushErrorState();
		InterruptHoldoffCount = holdoff;
		fine = refuse_error(refusal, column, error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	return fine;
}

#ifdef COMPAT_NO_SOFT_ERRORS

typedef struct InputCall
{
	FmgrInfo   *input;
	char	   *text;
	Oid			ioparam;
	int32		typmod;
	Datum		value;
} InputCall;

/* Body for soft_call */
static void
call_input(void *arg)
{
	InputCall  *call = arg;

	call->value = InputFunctionCall(call->input, call->text, call->ioparam, call->typmod);
}

/* The type's input function, caught only when it is pure. */
bool
soft_input(FmgrInfo *input, bool pure, char *text, Oid ioparam, int32 typmod,
		   const char *column, Datum *value, Refusal *refusal)
{
	InputCall	call = {input, text, ioparam, typmod};

	if (!pure)
		call_input(&call);
	else if (!soft_call(call_input, &call, column, refusal))
		return false;
	*value = call.value;
	return true;
}

#else

/* The type's input function, reporting into a save context. */
bool
soft_input(FmgrInfo *input, bool pure, char *text, Oid ioparam, int32 typmod,
		   const char *column, Datum *value, Refusal *refusal)
{
	ErrorSaveContext saved = {T_ErrorSaveContext};

	saved.details_wanted = true;
	if (InputFunctionCallSafe(input, text, ioparam, typmod, (Node *) &saved, value))
		return true;
	return refuse_error(refusal, column, saved.error_data);
}

#endif
