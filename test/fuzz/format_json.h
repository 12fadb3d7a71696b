/*
 * format_json.h
 *		Entry point of the fuzz target, for libFuzzer and for test/unit/format_json.c.
 */
#ifndef DELTAFLOW_FUZZ_FORMAT_JSON_H
#define DELTAFLOW_FUZZ_FORMAT_JSON_H

#include <stddef.h>
#include <stdint.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif							/* DELTAFLOW_FUZZ_FORMAT_JSON_H */
