/*
 * window_watermark.c
 *		Watermarks and lateness against their definitions, over random histories of
 *		partitions that lead, lag, fall silent and lie about the future.
 *
 * The model keeps every record and computes each watermark from all of them.
 *
 * LINK: src/window/watermark.c
 */
#include "tap.h"			/* first: the server's headers redefine printf */

#include "postgres.h"

#include "window/lateness.h"
#include "window/watermark.h"
#include "window_random.h"

#define CASES		120000
#define PARTITIONS	4
#define EPOCHS		10
#define RECORDS		4			/* of a partition in an epoch */

typedef struct Record
{
	int			epoch;
	int64		event_time;
	int64		written;
} Record;

/* What happened to a partition. */
typedef struct History
{
	int			n;
	Record		record[EPOCHS * RECORDS];
	bool		at_end[EPOCHS];	/* of the epoch, all of the log was taken */
} History;

/* A partition as the code under test is told about it. */
typedef struct Partition
{
	int64		max_event_time;
	int64		active_at;
	bool		active;
	bool		at_end;
} Partition;

static int	failures = 0;

static void
check(bool condition, const char *what, int64 expected, int64 found)
{
	if (!condition && failures++ < 5)
		printf("# %s: expected %lld, found %lld\n", what, (long long) expected, (long long) found);
}

/* An event time that counts: not further ahead of both clocks than allowed. */
static bool
counts(const WatermarkRule *rule, const Record *record, int64 now)
{
	wide		clock = Max(now, record->written);

	return record->event_time != DT_NOEND && (wide) record->event_time <= clock + rule->max_future;
}

/* The greatest event time of the partition that counts, by the end of an epoch; DT_NOBEGIN: none. */
static int64
greatest(const WatermarkRule *rule, const History *history, int epoch, const int64 *clock)
{
	int64		greatest = DT_NOBEGIN;

	for (int i = 0; i < history->n; i++)
		if (history->record[i].epoch <= epoch && counts(rule, &history->record[i], clock[history->record[i].epoch]))
			greatest = Max(greatest, history->record[i].event_time);
	return greatest;
}

/* Nothing is left to take, and nothing came for the timeout. */
static bool
silent(const WatermarkRule *rule, const History *history, int epoch, const int64 *clock)
{
	int64		active_at = clock[0];

	for (int i = 0; i < history->n; i++)
		if (history->record[i].epoch == epoch)
			return false;
		else if (history->record[i].epoch < epoch)
			active_at = clock[history->record[i].epoch];
	return rule->idle_timeout > 0 && history->at_end[epoch] && (wide) clock[epoch] - active_at >= rule->idle_timeout;
}

/* The definition of the watermark at the end of an epoch. */
static int64
watermark_by_definition(const WatermarkRule *rule, const History *histories, int n, int epoch, const int64 *clock, int64 before)
{
	int64		own[PARTITIONS];
	bool		idle[PARTITIONS];
	bool		all_idle = true;
	int64		result = DT_NOBEGIN;
	bool		any = false;

	for (int p = 0; p < n; p++)
	{
		int64		most = greatest(rule, &histories[p], epoch, clock);

		own[p] = most == DT_NOBEGIN ? DT_NOBEGIN : cut(Max((wide) most - rule->delay, (wide) MIN_TIMESTAMP));
		idle[p] = silent(rule, &histories[p], epoch, clock);
		all_idle &= idle[p];
		if (!idle[p] && most == DT_NOBEGIN)
			return before;
	}
	for (int p = 0; p < n; p++)
		if (all_idle)
			result = Max(result, own[p]);
		else if (!idle[p])
		{
			result = any ? Min(result, own[p]) : own[p];
			any = true;
		}
	return Max(result, before);
}

/* Records of an epoch, as the code under test sees them. */
static void
take_epoch(const WatermarkRule *rule, History *history, Partition *partition, int epoch, int64 now)
{
	int			n = random_between(0, 1) ? random_between(0, RECORDS) : 0;

	partition->active = n > 0;
	partition->at_end = history->at_end[epoch] = random_between(0, 1);
	for (int i = 0; i < n; i++)
	{
		Record		record = {epoch, random_between(0, 9) ? random_between(-50, 400) : random_time(),
			random_between(0, 1) ? DT_NOBEGIN : random_between(-50, 400)};

		history->record[history->n++] = record;
		if (record.event_time > partition->max_event_time &&
			!watermark_is_future(rule, record.event_time, record.written, now))
			partition->max_event_time = record.event_time;
	}
}

/* One pipeline's life. */
static void
try_history(void)
{
	WatermarkRule rule = {random_between(0, 50), random_between(0, 200), random_between(0, 3) * random_between(1, 60)};
	int			n = random_between(1, PARTITIONS);
	History		histories[PARTITIONS] = {0};
	Partition	partitions[PARTITIONS];
	int64		clock[EPOCHS];
	int64		watermark = DT_NOBEGIN;

	if (random_between(0, 19) == 0)
		rule.delay = random_length();
	for (int p = 0; p < n; p++)
		partitions[p] = (Partition) {.max_event_time = DT_NOBEGIN, .active_at = 0};
	for (int epoch = 0; epoch < EPOCHS; epoch++)
	{
		Watermark	next;
		int64		before = watermark;
		int64		expected;

		clock[epoch] = epoch == 0 ? 0 : clock[epoch - 1] + random_between(0, 40);
		watermark_begin(&next);
		for (int p = 0; p < n; p++)
		{
			take_epoch(&rule, &histories[p], &partitions[p], epoch, clock[epoch]);
			watermark_add(&next, &rule, partitions[p].max_event_time, partitions[p].at_end && !partitions[p].active &&
						  watermark_is_silent(&rule, partitions[p].active_at, clock[epoch]));
			if (partitions[p].active)
				partitions[p].active_at = clock[epoch];
		}
		watermark = watermark_next(&next, before);
		expected = watermark_by_definition(&rule, histories, n, epoch, clock, before);
		check(watermark == expected, "watermark", expected, watermark);
		check(watermark >= before, "never falling", before, watermark);
	}
}

/* The definitions of late and final. */
static void
try_lateness(void)
{
	int64		end = random_time();
	int64		lateness = random_between(0, 2) ? random_between(0, 100) : random_length();
	int64		gap = random_between(0, 2) ? random_between(1, 100) : random_length();
	int64		watermark = random_time();
	int64		limit;
	bool		has;

	if (random_between(0, 1))
		watermark = cut((wide) end + lateness + random_between(-1, 1));
	limit = TIMESTAMP_NOT_FINITE(end) ? end : cut((wide) end + lateness);
	has = watermark != DT_NOBEGIN && limit <= watermark;
	check(late_for_window(end, lateness, watermark) == has, "late", limit, watermark);
	check(window_is_final(end, lateness, watermark) == has, "final", limit, watermark);

	limit = TIMESTAMP_NOT_FINITE(end) ? end : cut((wide) end + gap + lateness);
	has = watermark != DT_NOBEGIN && limit <= watermark;
	check(late_for_sessions(end, gap, lateness, watermark) == has, "late for sessions", limit, watermark);

	/* until its limit a row that is not late may touch the session: one just before its end */
	if (!TIMESTAMP_NOT_FINITE(end) && !TIMESTAMP_NOT_FINITE(cut((wide) end + gap)))
	{
		int64		last_admissible = cut((wide) end + gap - 1);

		limit = cut((wide) last_admissible + gap + lateness);
		check(session_is_final(end, gap, lateness, watermark) ==
			  (watermark != DT_NOBEGIN && cut((wide) end + 2 * (wide) gap + lateness) <= watermark),
			  "session final", limit, watermark);
		if (session_is_final(end, gap, lateness, watermark))
			check(late_for_sessions(last_admissible, gap, lateness, watermark), "nothing may touch a final session", limit, watermark);
	}
}

static void
edges(void)
{
	WatermarkRule rule = {.delay = 10, .max_future = 100, .idle_timeout = 50};
	WatermarkRule never = {.delay = 10};
	Watermark	next;

	watermark_begin(&next);
	ok(watermark_next(&next, 7) == 7, "no partition leaves it where it is");
	watermark_add(&next, &rule, 1000000, false);
	watermark_add(&next, &rule, 500, false);
	ok(watermark_next(&next, DT_NOBEGIN) == 490, "a partition far ahead makes nothing late");
	ok(watermark_next(&next, 600) == 600, "it does not fall");
	watermark_add(&next, &rule, DT_NOBEGIN, true);
	watermark_add(&next, &rule, 100, true);
	ok(watermark_next(&next, DT_NOBEGIN) == 490, "idle partitions do not hold it");
	watermark_add(&next, &rule, DT_NOBEGIN, false);
	ok(watermark_next(&next, 100) == 100, "one that showed nothing yet does");
	watermark_begin(&next);
	watermark_add(&next, &rule, 500, true);
	watermark_add(&next, &rule, 700, true);
	ok(watermark_next(&next, 0) == 690, "when all are idle it is the greatest");
	watermark_begin(&next);
	watermark_add(&next, &rule, MIN_TIMESTAMP, false);
	ok(watermark_next(&next, DT_NOBEGIN) == MIN_TIMESTAMP, "the delay does not lead out of the calendar");

	ok(!watermark_is_silent(&rule, 0, 49) && watermark_is_silent(&rule, 0, 50), "silent from the timeout on");
	ok(!watermark_is_silent(&never, 0, 5000), "without a timeout never");
	ok(!watermark_is_silent(&rule, 6000, 5000), "nor when the clock went back");

	ok(!watermark_is_future(&rule, 1100, DT_NOBEGIN, 1000), "max_future ahead is believed");
	ok(watermark_is_future(&rule, 1101, DT_NOBEGIN, 1000), "not a microsecond more");
	ok(!watermark_is_future(&rule, 5100, 5000, 1000), "the broker's time counts when it is later");
	ok(watermark_is_future(&rule, DT_NOEND, 5000, 1000), "infinity is never believed");
	ok(!late_for_window(DT_NOBEGIN, 0, DT_NOBEGIN), "without a watermark nothing is late");
	ok(late_for_window(100, 20, 120) && !late_for_window(100, 20, 119), "late from the limit on");
	ok(!late_for_window(DT_NOEND, 0, END_TIMESTAMP - 1), "a window that ends at infinity stays open");
}

int
main(void)
{
	random_begin();
	for (int i = 0; i < CASES; i++)
	{
		try_history();
		try_lateness();
	}
	ok(failures == 0, "%d random histories and limits are as defined", CASES);
	edges();
	return done_testing();
}
