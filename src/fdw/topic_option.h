/*
 * topic_option.h
 *		The options of a topic and of its columns: one table each, read by the
 *		validator (is it allowed, is the value right) and by topic_load (apply it).
 */
#ifndef DELTAFLOW_FDW_TOPIC_OPTION_H
#define DELTAFLOW_FDW_TOPIC_OPTION_H

#include "fdw/topic.h"

/* A topic while its options are read, before its columns are known. */
typedef struct TopicDraft
{
	Topic	   *topic;
	const char *event_time;		/* name of a column, NULL: none */
} TopicDraft;

typedef struct TopicOption
{
	const char *name;
	const char *expects;		/* what a value is, for the hint: a noun phrase */
	bool		(*apply) (TopicDraft *draft, const char *value);	/* false: not such a value */
} TopicOption;

typedef struct ColumnOption
{
	const char *name;
	const char *expects;
	bool		(*apply) (TopicColumn *column, const char *value);
} ColumnOption;

/* Both end with an entry whose name is NULL. */
extern const TopicOption topic_options[];
extern const ColumnOption column_options[];

extern const TopicOption *find_topic_option(const char *name);	/* NULL: none */
extern const ColumnOption *find_column_option(const char *name);

/* A topic with every option at its default. */
extern TopicDraft topic_draft(void);

/* 'partition', 'offset', ...: the option's word for a kind of column. */
extern const char *column_kind_name(TopicColumnKind kind);

#endif							/* DELTAFLOW_FDW_TOPIC_OPTION_H */
