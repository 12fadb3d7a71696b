/*
 * limits.c
 *		Caps on what one record may cost.
 *
 * A record of eight bytes (1e100000) can become a value of 100,000 characters, and
 * one of a hundred thousand brackets a deep recursion: caps come before any
 * conversion.  They are settings of the superuser, because which records are dead
 * letters must not depend on who reads the topic.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "compat.h"
#include "format/value.h"

/* Together they stay below the 16,383 digits behind the point of a numeric. */
#define MOST_DIGITS 8000

static int	max_record_kilobytes = 16 * 1024;
static int	max_json_depth = 256;
static int	max_number_digits = 1000;
static int	max_number_exponent = 1000;

/* Caps of values inside a record. */
JsonLimits
value_limits(void)
{
	JsonLimits	limits = {max_json_depth, max_number_digits, max_number_exponent};

	return limits;
}

/* Cap of a record's value, or key, in bytes. */
size_t
record_limit(void)
{
	return (size_t) max_record_kilobytes * 1024;
}

/* Settings of this folder. */
void
format_init_settings(void)
{
	DefineCustomIntVariable("deltaflow.max_record_size",
							"Sets the size above which a record is refused as a dead letter.",
							NULL, &max_record_kilobytes, 16 * 1024, 1, 512 * 1024,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("deltaflow.max_json_depth",
							"Sets the nesting of JSON values above which a record is refused.",
							NULL, &max_json_depth, 256, 1, 1000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("deltaflow.max_number_digits",
							"Sets the number of digits above which a number in a record is refused.",
							NULL, &max_number_digits, 1000, 20, MOST_DIGITS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("deltaflow.max_number_exponent",
							"Sets the decimal exponent above which a number in a record is refused.",
							NULL, &max_number_exponent, 1000, 20, MOST_DIGITS,
							PGC_SUSET, 0, NULL, NULL, NULL);
}
