/*
 * options.h
 *		The options of one ingest, as create_ingest(options => '{...}') takes them.
 */
#ifndef DELTAFLOW_INGEST_OPTIONS_H
#define DELTAFLOW_INGEST_OPTIONS_H

typedef struct IngestOptions
{
	bool		synchronous_commit; /* wait for the disk at each commit; off by default, which loses nothing */
	int			discovery_interval; /* seconds between looks for new partitions and lost offsets */
} IngestOptions;

/* jsonb text to options; ERROR for names and values that are none. */
extern IngestOptions ingest_options_parse(const char *json);

#endif							/* DELTAFLOW_INGEST_OPTIONS_H */
