/*
 * definition_text.c
 *		The definition as the user wrote it, parsed and analysed in the caller's session.
 *
 * Errors of the parser, and refusals, point into this text: the client shows it as
 * the query with a position, as it does for the body of a function.
 */
#include "postgres.h"

#include "parser/analyze.h"
#include "parser/parser.h"

#include "compat.h"
#include "view/ddl.h"

/* Turns the position of a parser's error into one within the definition. */
static void
position_in_definition(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
}

static RawStmt *
parse_one(const char *text)
{
	List	   *statements = raw_parser(text, RAW_PARSE_DEFAULT);

	if (list_length(statements) != 1 ||
		!IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("definition of a continuous view must be one SELECT statement"),
				 errhint("Give one SELECT that groups and aggregates a source.")));
	return linitial_node(RawStmt, statements);
}

Query *
definition_parse(const char *text)
{
	ErrorContextCallback callback = {error_context_stack, position_in_definition, unconstify(char *, text)};
	Query	   *query;

	error_context_stack = &callback;
	query = parse_analyze_fixedparams(parse_one(text), text, NULL, 0, NULL);
	error_context_stack = callback.previous;
	return query;
}

char *
definition_statement(const char *text)
{
	RawStmt    *statement = parse_one(text);

	text += statement->stmt_location;
	return statement->stmt_len > 0 ? pnstrdup(text, statement->stmt_len) : pstrdup(text);
}
