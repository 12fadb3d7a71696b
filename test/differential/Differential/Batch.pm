#
# Batch.pm
#		deltaflow.run against the oracle: a view's definition over a range, its source or another relation.
#
#   run_batch($self, $view, $step);       # of a case as Play.pm plays it; fails it when something is wrong
#
# A step says which target (absent: run makes it; a table with columns of its own; partitioned), between which borders of
# windows (since, until: shares of those that the answer has; undef: open), over which relation (own, or one of the same
# columns), under which value of a parameter, and whether the target holds rows twice before.  What must hold:
#
#   in the range the target has the oracle's answer, once; outside it what it had; the number returned is that of rows;
#   run again it is the same; where run fails the definition fails, and the target has what it had.
#
# Columns that a plain query rounds are left out.
#
package Differential::Batch;

use strict;
use warnings;

use Exporter 'import';

use Differential::Definition qw(answer_sql batch_sql compared_sql borders_sql in_range_sql);
use JSON::PP;

our @EXPORT_OK = qw(run_batch run_borders);

my $json = JSON::PP->new->canonical->allow_nonref;

sub literal { return "'" . ($_[0] =~ s/'/''/gr) . "'" }

sub run_batch
{
	my ($self, $view, $step) = @_;
	my $asked = with_params($view, $step);
	my ($relation, $sources) = relation($self, $view, $step);
	my $zone = $self->{case}{zone};
	my $answer = answer_sql($asked, $relation, $zone);
	my $fails = $self->sql('SELECT differential.failure(' . literal(compared_sql($asked, $answer, plain => 1)) . ')');
	my ($since, $until) = run_borders($self, $asked, $step, $answer);
	my $target = target($self, $view, $step);
	my $in_range = in_range_sql($asked, $zone, $since, $until);
	my $call = sprintf q(SELECT deltaflow.run('%s', '%s', %s, %s, %s, %s)), $view->{name}, $target, (map { defined $_ ? literal($_) : 'NULL' } $since, $until),
	  $sources, defined $step->{size} ? literal($json->encode({ $view->{window}{param} => $step->{size} })) : 'NULL';

	$self->sql('DROP TABLE IF EXISTS pg_temp.before; CREATE TEMP TABLE before AS TABLE ' . ($step->{target} eq 'absent' ? "$view->{name}_batch WITH NO DATA" : $target));
	for my $time ('first', 'again')
	{
		my ($written, $error) = call($self, $step, $call);

		if (defined $error)
		{
			my $own = $self->sql('SELECT differential.failure(' . literal(batch_sql($asked, $relation)) . ')');

			$self->fail_with('run', $view->{name}, "$error\n$call\n" . batch_sql($view, $relation)) if $own eq '' && $fails eq '';
			unchanged($self, $view, $target, $call) if $step->{target} ne 'absent';
			$self->{verdict}{both_fail}++;
			last;
		}
		last if $fails ne '';
		my $before = compared_sql($asked, "SELECT * FROM before WHERE ($in_range) IS NOT TRUE", plain => 1);
		my $after = compared_sql($asked, "SELECT * FROM ($answer) x WHERE ($in_range)", plain => 1);
		my $says = $self->sql('SELECT differential.compare(' . literal(compared_sql($asked, "SELECT * FROM $target", plain => 1)) . ', ' . literal("$before UNION ALL $after") . ')');
		my $rows = $self->sql("SELECT count(*) FROM ($answer) x WHERE ($in_range)");

		$self->fail_with('run', $view->{name}, "$time: $says\n$call\n" . batch_sql($view, $relation)) if $says ne 'same';
		$self->fail_with('run', $view->{name}, "$time: $written rows instead of $rows\n$call\n" . batch_sql($view, $relation)) if $written ne $rows;
		$self->{verdict}{batches}++;
	}
	$self->sql("DROP TABLE IF EXISTS $target") if $step->{target} eq 'absent';
}

# Under settings that are not the view's, and with parallel plans.
sub call
{
	my ($self, $step, $call) = @_;
	my @settings;

	push @settings, [ TimeZone => "'$step->{zone}'" ], [ DateStyle => "'SQL, DMY'" ], [ IntervalStyle => 'iso_8601' ] if defined $step->{zone};
	push @settings, map { [ $_ => 0 ] } qw(parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size) if $step->{parallel};
	$self->sql(join '; ', map { "SET $_->[0] = $_->[1]" } @settings) if @settings;
	my ($written, $error) = $self->try_sql($call);

	$self->sql(join '; ', map { $_->[0] eq 'TimeZone' ? "SET TimeZone = '$self->{case}{zone}'" : "RESET $_->[0]" } @settings) if @settings;
	return ($written, $error);
}

sub unchanged
{
	my ($self, $view, $target, $call) = @_;
	my $says = $self->sql("SELECT differential.compare_sets('SELECT t::text FROM $target t', 'SELECT t::text FROM before t', 'in the target', 'there before')");

	$self->fail_with('run', $view->{name}, "failed, and changed the target: $says\n$call") if $says ne 'same';
}

sub with_params
{
	my ($view, $step) = @_;

	return $view if !defined $step->{size};
	return { %$view, window => { %{ $view->{window} }, size => $step->{size} } };
}

# What is read, and how run is told so.
sub relation
{
	my ($self, $view, $step) = @_;
	my $own = $view->{source} eq 'topic' ? 'source_topic' : 'source';
	my $over = $step->{over} // 'own';
	my @names = (map({ $_->{name} } @{ $self->{case}{columns} }), 'part', 'off');
	my $names = join ', ', @names;

	$self->read_topic;
	return ($view->{source} eq 'topic' ? 'everything' : 'source', 'NULL') if $over eq 'own';
	return ('everything', literal($json->encode({ $own => 'source_topic' }))) if $over eq 'topic';
	my $partitioned = $over eq 'partitions' ? 'PARTITION BY HASH (off)' : '';
	my $columns = join ', ', map { "$_->{name} $_->{type}" } reverse @{ $self->{case}{columns} };

	$self->sql('DROP TABLE IF EXISTS history CASCADE; ' . "CREATE TABLE history (gone int, off bigint, $columns, more text, part int) $partitioned; ALTER TABLE history DROP COLUMN gone");
	$self->sql("CREATE TABLE history_$_ PARTITION OF history FOR VALUES WITH (MODULUS 2, REMAINDER $_)") for $partitioned ? (0, 1) : ();
	$self->sql("INSERT INTO history ($names) SELECT $names FROM everything WHERE off % 3 <> 0 UNION ALL SELECT $names FROM everything WHERE off % 4 = 0");
	return ('history', literal($json->encode({ $own => 'history' }))) if $over ne 'view';
	$self->sql("CREATE VIEW history_view AS SELECT $names FROM history WHERE part IS NOT NULL");
	return ('history', literal($json->encode({ $own => 'history_view' })));
}

# Borders as run and recompute get them: of those that there are, at these shares; none where there is no answer.
sub run_borders
{
	my ($self, $view, $step, $answer) = @_;
	my $sql = borders_sql($view, $self->{case}{zone}, $answer);
	my $fails = defined $sql ? $self->sql('SELECT differential.failure(' . literal($answer) . ')') : 'no windows';
	my @borders = $fails eq '' ? split /\n/, $self->sql($sql) : ();
	my ($since, $until) = map { defined $_ && @borders ? $borders[ int $_ * @borders ] : undef } @$step{qw(since until)};

	return ($since, $until);
}

my %partitions = (
	table => [''],
	range => [ 'PARTITION BY RANGE (w)', "FOR VALUES FROM (MINVALUE) TO ('2024-05-15 10:00')", "FOR VALUES FROM ('2024-05-15 10:00') TO ('2024-05-15 12:00')", 'DEFAULT' ],
	list => [ 'PARTITION BY LIST ((w IS NULL))', 'FOR VALUES IN (false)', 'DEFAULT' ],
	hash => [ 'PARTITION BY HASH (a1)', map { "FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2 ]);

# The table to write to, which keeps what it holds from one step to the next.
sub target
{
	my ($self, $view, $step) = @_;
	my $kind = $step->{target};
	my $name = "$view->{name}_in_$kind";

	return $name if $kind eq 'absent';
	if (!$self->{targets}{$name}++)
	{
		my ($by, @parts) = @{ $partitions{$kind} };

		$self->sql("CREATE TABLE $name (first_seen timestamptz DEFAULT now(), LIKE $view->{name}_batch, more text DEFAULT 'more') $by");
		$self->sql("CREATE TABLE ${name}_$_ PARTITION OF $name $parts[$_]") for 0 .. $#parts;
		$self->sql("CREATE INDEX ON $name (a1)") if $kind ne 'table';
	}
	$self->sql("INSERT INTO $name TABLE $name") if $step->{doubled};
	return $name;
}

1;
