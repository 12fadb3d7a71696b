#
# Tables.pm
#		What the generator chooses from.  To let it write something new, add a row here.
#
# Columns: type, class of expressions that apply to it, and how values are made (as
# JSON text) in each flavour.
#
# Keys: [class, expression, how it is compared].  Aggregates: [class, expression as the
# view has it, as the oracle has it, how it is compared].  %c stands for a column of
# the class, %m for another one, %r for the type of its plain sum.
#
# Compared: 'text'   digit for digit
#           'scale'  numerics of equal value: which scale represents them is not defined
#           'zero'   floats where -0 and 0 are the same
#           'close'  floats that a plain query rounds on the way
#
# Float sums are exact in a live view.  Here every float is a number that decimal text
# holds exactly, so the oracle adds them up as numerics and rounds once.
#
package Differential::Tables;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(pick chance seconds_of %types @keys @aggregates @conditions @having @windows @bases @zones @filters @latenesses @futures @idle_timeouts @retentions @caps);

sub pick { return $_[ int rand @_ ] }

sub chance { return rand() < $_[0] }

sub quoted { return '"' . $_[0] . '"' }

my %seconds = (microsecond => 1e-6, second => 1, minute => 60, hour => 3600, day => 86400, week => 7 * 86400, month => 31 * 86400, quarter => 92 * 86400, year => 366 * 86400, decade => 3653 * 86400);

# About how long '10 minutes' are; of the months and years of the calendar the longest.
sub seconds_of
{
	my ($count, $unit) = $_[0] =~ /^(\d+) (\w+?)s?$/;

	return $count * $seconds{$unit};
}

# Flavours of a column: few values (groups with many rows), tame (arithmetic never fails),
# wild (the extremes of the type).
our %types = (
	int2 => {
		class => 'int',
		few => sub { int(rand 5) - 1 },
		tame => sub { int(rand 2000) - 1000 },
		wild => sub { pick(32767, -32768, 0, int(rand 65536) - 32768) } },
	int4 => {
		class => 'int',
		few => sub { int(rand 6) - 2 },
		tame => sub { int(rand 200000) - 100000 },
		wild => sub { pick(2147483647, -2147483648, 0, 1, int(rand 4294967296) - 2147483648) } },
	int8 => {
		class => 'big',
		few => sub { 9000000000 + int rand 4 },
		tame => sub { int(rand 2e12) - 1e12 },
		wild => sub { pick('9223372036854775807', '-9223372036854775808', 0, int(rand 2e15)) } },
	numeric => {
		class => 'numeric',
		few => sub { pick('1', '1.0', '"1.00"', '-2.5', '"-2.50"', '0', '0.000') },
		tame => sub { sprintf '%.*f', int rand 6, rand(2000) - 1000 },
		wild => sub { pick('"NaN"', '"Infinity"', '"-Infinity"', '1e40', '-1e40', '0.00000000000000000001', '123456789012345678901234567890.5', '1.10') } },
	float4 => {
		class => 'float',
		few => sub { pick('0', '-0.0', '1.5', '-1.5') },
		tame => sub { (int(rand 2048) - 1024) / 8 },
		wild => sub { pick('"NaN"', '"Infinity"', '"-Infinity"', '16777216', '-16777216', '0.0009765625', '-0.0', '1') } },
	float8 => {
		class => 'float',
		few => sub { pick('0', '-0.0', '2.25', '-2.25') },
		tame => sub { (int(rand 1e6) - 5e5) / 64 },
		wild => sub { pick('"NaN"', '"Infinity"', '"-Infinity"', '1e16', '-1e16', '1e22', '-1e22', '0.0009765625', '-0.0', '1') } },
	text => {
		class => 'text',
		few => sub { quoted(pick('a', 'b', 'B', 'é', '')) },
		tame => sub { quoted(join '', map { pick('a' .. 'f') } 1 .. 1 + int rand 3) },
		wild => sub { quoted(pick('', ' ', 'a' x 300, '\u00e9', "e\x{301}", '\"', '\\\\', 'NULL', ',(){}')) } },
	bool => { class => 'bool', few => sub { pick('true', 'false') } },
	date => {
		class => 'date',
		few => sub { sprintf '"2024-02-%02d"', 27 + int rand 3 },
		tame => sub { sprintf '"%04d-%02d-%02d"', 1990 + int rand 40, 1 + int rand 12, 1 + int rand 28 },
		wild => sub { quoted(pick('infinity', '-infinity', '4713-01-01 BC', '5874897-12-31', '1970-01-01')) } },
	uuid => { class => 'uuid', few => sub { sprintf '"00000000-0000-0000-0000-%012d"', int rand 4 } });

our @keys = (
	[ int => '%c', 'text' ],
	[ int => '%c % 3', 'text' ],
	[ int => 'coalesce(%c, -1)', 'text' ],
	[ int => '%c > 0', 'text' ],
	[ int => '%c::numeric / 2', 'text' ],
	[ big => '%c', 'text' ],
	[ big => '%c / 1000', 'text' ],
	[ numeric => '%c', 'scale' ],
	[ numeric => 'round(%c)', 'text' ],
	[ numeric => '%c > 1', 'text' ],
	[ float => '%c', 'zero' ],
	[ float => '%c >= 0', 'text' ],
	[ text => '%c', 'text' ],
	[ text => 'upper(%c)', 'text' ],
	[ text => '%c IS NULL', 'text' ],
	[ text => 'length(%c)', 'text' ],
	[ text => 'coalesce(%c, \'none\') || \'!\'', 'text' ],
	[ text => '%c COLLATE "C"', 'text' ],
	[ text => '%c::varchar(2)', 'text' ],
	[ bool => '%c', 'text' ],
	[ bool => '%c IS TRUE', 'text' ],
	[ date => '%c', 'text' ],
	[ date => 'extract(month FROM %c)', 'text' ],
	[ uuid => '%c', 'text' ],
	[ time => '%c::date', 'text' ],
	[ time => 'extract(hour FROM %c)', 'text' ]);

# the variance family, once for all
my @spread = map { my $f = $_; [ int => "$f(%c)" ], [ big => "$f(%c)" ], [ numeric => "$f(%c)" ], [ float => "$f(%c)", "$f(%c::float8::text::numeric)::float8", 'close' ] }
  qw(variance stddev var_pop stddev_pop var_samp stddev_samp);

our @aggregates = (
	(map { [ any => $_ ] } 'count(*)', 'count(%c)', 'count(*) + count(%c)', q(CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END)),
	(map { [ int => $_ ] } 'sum(%c)', 'avg(%c)', 'min(%c)', 'max(%c)', 'bit_and(%c)', 'bit_or(%c)', 'bit_xor(%c)', 'sum(%c::bigint * 2 + 1)', 'sum(%c * 3)',
		'max(%c) - min(%c)', 'coalesce(sum(%c), 0) / nullif(count(*), 0)', 'sum(1000 / %c) FILTER (WHERE %c <> 0)', 'avg(abs(%c::int8))', 'sum(%c)::text || count(%c)'),
	(map { [ big => $_ ] } 'sum(%c)', 'avg(%c)', 'min(%c)', 'max(%c)', 'bit_and(%c)', 'bit_or(%c)', 'bit_xor(%c)', 'round(avg(%c), 2)', 'max(%c) / 2'),
	(map { [ numeric => $_ ] } 'sum(%c)', 'avg(%c)', 'sum(%c * 2)', 'round(avg(%c), 3)', 'sum(%c) FILTER (WHERE %c < 100)', 'count(%c) FILTER (WHERE %c = \'NaN\')'),
	[ numeric => 'min(%c)', undef, 'scale' ],
	[ numeric => 'max(%c)', undef, 'scale' ],
	[ float => 'sum(%c)', 'sum(%c::float8::text::numeric)::float8::%r', 'zero' ],
	[ float => 'avg(%c)', 'sum(%c::float8::text::numeric)::float8 / nullif(count(%c), 0)', 'zero' ],
	[ float => 'sum(%c::float8 * 2) FILTER (WHERE %c > 0)', 'sum((%c::float8 * 2)::text::numeric) FILTER (WHERE %c > 0)::float8', 'zero' ],
	[ float => 'min(%c)', undef, 'zero' ],
	[ float => 'max(%c)', undef, 'zero' ],
	[ tame => 'corr(%c, %m)', undef, 'close' ],
	[ tame => 'regr_slope(%c, %m)', undef, 'close' ],
	[ tame => 'covar_pop(%c, %m)', undef, 'close' ],
	[ tame => 'regr_count(%c, %m)' ],
	(map { [ text => $_ ] } 'min(%c)', 'max(%c)', 'max(%c COLLATE "C")', 'min(upper(%c))', 'max(length(%c))', 'coalesce(max(%c), \'-\') || count(*)'),
	(map { [ bool => $_ ] } 'bool_and(%c)', 'bool_or(%c)', 'every(%c)', 'count(*) FILTER (WHERE %c)', 'sum(%c::int)'),
	(map { [ date => $_ ] } 'min(%c)', 'max(%c)'),
	(map { [ time => $_ ] } 'min(%c)', 'max(%c)', 'max(%c::date)'),
	(map { [ uuid => $_ ] } 'count(%c)', 'max(%c::text)'),
	[ hll => 'hll_cardinality(hll_add_agg(hll_hash_bigint(%c)))', undef, 'close' ],
	@spread);

# WHERE and FILTER
our @conditions = (
	[ int => '%c > 0' ], [ int => '%c % 2 = 0' ], [ int => '%c IS DISTINCT FROM 1' ], [ big => '%c <> 0' ], [ numeric => '%c < 10' ], [ float => '%c > 0' ],
	[ float => '%c = 0' ], [ text => '%c IS NOT NULL' ], [ text => q(%c <> 'a') ], [ text => q(%c LIKE 'a%') ], [ bool => '%c' ], [ bool => 'NOT %c' ],
	[ bool => '%c IS NOT TRUE' ], [ date => q(%c >= '2024-02-28') ], [ uuid => '%c IS NOT NULL' ]);

# create_ingest's filter: conditions, and what only a topic's column tells
our @filters = (@conditions, [ any => 'off % 3 <> 0' ], [ any => 'part <> 1' ], [ time => '%c IS NOT NULL' ], [ time => 'extract(second FROM %c) < 40' ], [ any => 'false' ]);

our @having = (
	[ any => 'count(*) > 1' ], [ any => 'count(%c) > 0' ], [ any => 'count(*) % 2 = 0' ], [ int => 'sum(%c) > 0' ], [ int => 'max(%c) IS NOT NULL' ],
	[ numeric => 'avg(%c) > 0' ], [ bool => 'bool_or(%c)' ], [ text => q(max(%c) > 'a') ], [ int => 'sum(%c) > 0 OR count(*) < 3' ]);

# Windows.  kind; start, the expression in GROUP BY; length, by which a start is moved to
# the end (in the calendar of zone, where that is given).  %t is the time.
my @bins = map { my $size = $_; { kind => 'bin', size => $size } } '1 second', '7 seconds', '10 minutes', '1 hour', '90 minutes', '1 day', '7 days';
my @units = map { { kind => 'trunc', unit => $_ } } qw(second minute hour day day week week month month quarter year decade);
my @hops = map { { kind => 'hop', slide => $_->[0], size => $_->[1] } } [ '1 minute', '5 minutes' ], [ '10 minutes', '1 hour' ], [ '4 minutes', '10 minutes' ],
  [ '10 minutes', '10 minutes' ], [ '6 hours', '1 day' ], [ '10 minutes', '4 minutes' ];
my @cumulates = map { { kind => 'cumulate', step => $_->[0], size => $_->[1] } } [ '1 minute', '5 minutes' ], [ '15 minutes', '1 hour' ], [ '6 hours', '1 day' ];
my @sessions = map { { kind => 'session', gap => $_ } } '1 second', '1 minute', '10 minutes', '2 hours', '1 day';
our @windows = (undef, undef, @bins, @units, @hops, @cumulates, @sessions);

# How long views wait, and how long they keep windows after that; what of them is not to be exceeded.
our @latenesses = ('0 seconds', '0 seconds', '1 microsecond', '1 minute', '1 hour', '1 day');
our @retentions = ('0 seconds', '1 minute', '10 minutes', '1 hour', '1 day', '40 days');
our @caps = ((map { { max_open_windows => $_ } } 1, 2, 5, 20, 100), { max_state_bytes => 1 }, { max_state_bytes => '1 GB', max_groups => 1000000 });

# Of a topic: how far ahead of the clock an event time is believed, and when a partition is idle.
our @futures = ('1 second', '10 minutes', '1 hour', '1 day');
our @idle_timeouts = ('1 second', '1 minute', '1 hour');

# Where event time plays, as UTC: an ordinary day, both changes of summer time in several zones, years' ends, the
# epochs of Unix and PostgreSQL, far ends.
our @bases = (
	('2024-05-15 10:00:00') x 6,
	'2024-03-31 00:50:00', '2024-10-27 00:30:00', '2024-03-10 06:50:00', '2024-11-03 05:30:00', '2024-04-06 14:45:00', '2024-10-05 15:20:00',
	'2024-12-31 23:30:00', '2024-02-29 22:00:00', '1970-01-01 00:00:00', '2000-01-01 00:00:00', '1999-12-31 23:59:50', '1883-11-18 16:00:00',
	'2011-12-30 09:00:00');
our @zones = qw(UTC UTC Europe/Paris Europe/Paris America/New_York Australia/Lord_Howe Asia/Kathmandu America/Santiago Pacific/Apia);

1;
