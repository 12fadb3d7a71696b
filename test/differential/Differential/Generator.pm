#
# Generator.pm
#		A random case from a seed: schema, definitions, a stream, and how it is cut.
#
#   my $case = generate($seed, { hll => 1, slow => 0, windows => { hop => 1 } });
#
# The case is plain data (see README.md), so that it can be shrunk, kept and played again.
#
package Differential::Generator;

use strict;
use warnings;

use Exporter 'import';

use Differential::Ddl qw(ddl_names);
use Differential::Tables qw(pick chance seconds_of %types @keys @aggregates @conditions @having @windows @bases @zones @filters @latenesses @futures @idle_timeouts @retentions @caps);
use JSON::PP;
use Time::Local qw(timegm);

our @EXPORT_OK = qw(generate);

my $VIEWS = 10;
my $json = JSON::PP->new->allow_nonref;

sub generate
{
	my ($seed, $features) = @_;

	srand($seed);
	my $case = {
		seed => $seed,
		zone => pick(@zones),
		partitions => pick(1, 1, 2, 3, 4),
		slow => $features->{slow} ? 1 : 0,
		event_time => pick('at', 'at', 'at', 'ts'),
		watermark_delay => pick('0 seconds', '0 seconds', '1 second', '1 minute', '10 minutes', '1 day') };

	$case->{columns} = columns();
	$case->{wide} = 1 if chance(0.04) && !$features->{slow};
	$case->{csv} = csv($seed) if $seed % 7 == 3;
	my $filter = chance(0.25) && fill($case, $features, @filters);
	$case->{filter} = $filter->[0] if $filter;
	my $play = stream($case);
	of_time($case, $play);
	$case->{views} = [ map { view($case, $features, $_) } 1 .. $VIEWS ];
	if ($play->{far_ends})
	{
		# where the calendar ends the oracle does not count windows
		delete @{ $_->{options} }{qw(max_open_windows max_state_bytes)} for grep { $_->{options} } @{ $case->{views} };
	}
	$play->{judged} = [ map { judged($_) } grep { $_->{window} && defined $_->{lateness} } @{ $case->{views} } ];
	$case->{steps} = steps($case, $play, $features);
	add_batches($case);
	$case->{table} = table($case, $play) if chance(0.4);
	add_ddl($case) if chance(0.6);
	add_back($case) if chance(0.15) && !$case->{slow};
	add_recomputes($case) if chance(0.5) && !$case->{slow};
	return $case;
}

# How lines are written, of a topic that is not JSON.
sub csv
{
	my ($seed) = @_;
	my @dialects = ([ ',', '"', '' ], [ ',', '"', '' ], [ ';', '"', 'NULL' ], [ "\t", "'", '\N' ], [ '|', '"', '0' ]);
	my %csv;

	@csv{qw(delimiter quote null)} = @{ $dialects[ $seed / 7 % @dialects ] };
	return \%csv;
}

# What the topic says of time.  With a clock, which is the case's own, rows are made for it; workers have no other than ours.
sub of_time
{
	my ($case, $play) = @_;

	if (!$case->{slow} && chance(0.4))
	{
		$play->{clock} = $play->{base} + int(rand(7200) - 3600);
		$case->{clock} = time_text($play->{clock}, 0) . '+00';
		$case->{max_future} = pick(@futures) if chance(0.7);
		$case->{idle_timeout} = pick(@idle_timeouts) if chance(0.5);
	}
	$play->{max_future} = seconds_of($case->{max_future} // '1 hour');
	$case->{on_future} = pick('keep', 'dead_letter', 'dead_letter') if chance(0.25);
}

# ---------------------------------------------------------------------------
# schema

# at and ts are always there; the others in random number, each with a flavour.
sub columns
{
	my @names = sort keys %types;
	my @columns = ({ name => 'at', type => 'timestamptz', class => 'time' }, { name => 'ts', type => 'timestamp', class => 'time' });

	for my $i (1 .. 4 + int rand 6)
	{
		my $type = pick(@names);
		my @flavours = grep { $_ ne 'class' } sort keys %{ $types{$type} };
		my $flavour = pick(@flavours, 'few');

		push @columns, {
			name => "c$i", type => $type, class => $types{$type}{class}, flavour => $flavour,
			nulls => pick(0, 0.1, 0.1, 0.5), not_null => 0 };
		$columns[-1]{not_null} = 1 if $columns[-1]{nulls} == 0 && chance(0.5);
	}
	return \@columns;
}

# The table that rows are stored in, where it is not just one like the topic.
sub table
{
	my ($case, $play) = @_;
	my $key = pick(@{ $case->{columns} });
	my ($low, $high) = map { time_text($play->{base} + 3600 * $_, 0) . '+00' } -1, 1;
	my %table = (
		plain => {},
		range => { by => 'PARTITION BY RANGE (at)', partitions => [ "FOR VALUES FROM (MINVALUE) TO ('$low')", "FOR VALUES FROM ('$low') TO ('$high')", 'DEFAULT' ] },
		list => { by => 'PARTITION BY LIST (part)', partitions => [ 'FOR VALUES IN (1, 2)', 'DEFAULT' ] },
		nulls => { by => "PARTITION BY LIST (($key->{name} IS NULL))", partitions => [ 'FOR VALUES IN (true)', 'DEFAULT' ] },
		hash => { by => "PARTITION BY HASH ($key->{name})", partitions => [ map { "FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2 ] });
	my $table = $table{ pick(qw(plain range range list nulls hash)) };

	$table->{shuffled} = 1 if chance(0.5);
	$table->{index} = pick('at', 'part, off', $key->{name}) if chance(0.4);
	return $table;
}

# ---------------------------------------------------------------------------
# definitions

# Columns that expressions of a class may use.
sub columns_of
{
	my ($case, $class, $features) = @_;
	my @columns = @{ $case->{columns} };

	return @columns if $class eq 'any';
	return grep { $_->{class} eq 'float' && $_->{flavour} eq 'tame' } @columns if $class eq 'tame';
	return $features->{hll} ? grep { $_->{class} =~ /^(int|big)$/ } @columns : () if $class eq 'hll';
	return grep { $_->{class} eq $class } @columns;
}

# An expression of one of the tables over random columns of the case; undef when no column fits.
sub fill
{
	my ($case, $features, @rows) = @_;

	for (1 .. 20)
	{
		my $row = pick(@rows);
		my ($class, @templates) = @$row;
		my @fit = columns_of($case, $class, $features) or next;
		my ($column, $other) = (pick(@fit), pick(@fit));
		my $result = $column->{type} eq 'float4' ? 'float4' : 'float8';

		for (grep { defined } @templates)
		{
			s/%c/$column->{name}/g;
			s/%m/$other->{name}/g;
			s/%r/$result/g;
		}
		return \@templates;
	}
	return undef;
}

sub view
{
	my ($case, $features, $n) = @_;
	my $view = { name => "v$n", source => chance(0.7) ? 'source' : 'topic', keys => [], aggregates => [], where => [] };

	$view->{source} = 'table' if $view->{source} ne 'topic';
	$view->{time_type} = chance(0.7) ? 'timestamptz' : 'timestamp';
	$view->{time} = $view->{time_type} eq 'timestamptz' ? 'at' : 'ts';
	$view->{lateness} = pick(@latenesses) if chance(0.65);
	if (defined $view->{lateness})
	{
		# lateness is about the topic's event time
		$view->{time} = $case->{event_time};
		$view->{time_type} = $view->{time} eq 'at' ? 'timestamptz' : 'timestamp';
	}
	$view->{window} = window($case, $view, $features);
	delete $view->{lateness} if !$view->{window};
	$view->{emit} = 'close' if defined $view->{lateness} && chance(0.4);
	$view->{options} = options($view) if defined $view->{lateness} && chance($view->{window}{kind} eq 'hop' ? 0.7 : 0.35);
	$view->{from} = pick('plain', 'plain', 'plain', 'subquery', 'cte');
	for (1 .. pick(0, 1, 1, 1, 2, 3))
	{
		my $key = fill($case, $features, @keys) or next;
		my ($sql, $mode) = @$key;

		next if grep { $_->{sql} eq $sql } @{ $view->{keys} };
		push @{ $view->{keys} }, { sql => $sql, mode => $mode };
		$view->{keys}[-1]{hidden} = 1 if chance(0.05);
	}
	$view->{window}{hidden} = 1 if $view->{window} && $view->{window}{kind} =~ /^(bin|trunc)$/ && chance(0.03);
	add_aggregate($case, $features, $view) for 1 .. 1 + int rand 5;
	push @{ $view->{aggregates} }, { sql => 'count(*)', mode => 'text' } if !@{ $view->{aggregates} };
	for (1 .. pick(0, 0, 1, 1, 2))
	{
		my $condition = fill($case, $features, @conditions) or next;

		push @{ $view->{where} }, $condition->[0];
	}
	if (chance(0.25))
	{
		my $having = fill($case, $features, @having);

		$view->{having} = $having->[0] if $having;
	}
	return $view;
}

# How long windows are kept, and caps.  How many sessions of a key are open depends on the order of rows within an epoch: not capped.
sub options
{
	my ($view) = @_;
	my $session = $view->{window}{kind} eq 'session';
	my %options;

	if ($session || chance(0.7))
	{
		my @long = grep { seconds_of($_) >= seconds_of($view->{lateness}) } @retentions;

		$options{retain} = pick(($long[0]) x 3, @long);
		# without lateness it is as long as windows are kept
		if (chance(0.3))
		{
			$view->{lateness} = $options{retain};
			$view->{lateness_of_retain} = 1;
		}
	}
	%options = (%options, %{ pick(@caps) }) if !%options || (!$session && chance(0.2));
	return \%options;
}

sub add_aggregate
{
	my ($case, $features, $view) = @_;
	my $filled = fill($case, $features, @aggregates) or return;
	my ($sql, $oracle, $mode) = @$filled;
	my $aggregate = { sql => $sql, mode => $mode // 'text' };

	$aggregate->{oracle} = $oracle if defined $oracle;
	if (chance(0.2) && $sql !~ /^(round|coalesce|hll_cardinality)\(/ && $sql =~ /^\w+\((?:[^()]|\([^()]*\))*\)$/ && !defined $oracle)
	{
		my $condition = fill($case, $features, @conditions);

		$aggregate->{sql} .= " FILTER (WHERE $condition->[0])" if $condition;
	}
	push @{ $view->{aggregates} }, $aggregate;
}

sub window
{
	my ($case, $view, $features) = @_;
	my @possible = grep { !$_ || $_->{kind} =~ /^(bin|trunc)$/ || $features->{windows}{ $_->{kind} } } @windows;
	my $row = pick(@possible) or return undef;
	my $window = {%$row};

	if ($window->{kind} eq 'bin')
	{
		$window->{origin} = pick('2000-01-01', '2000-01-01', '1970-01-01', '2024-05-15 10:00:03.000001', '2030-01-01');
		$window->{origin} .= ' UTC' if $view->{time_type} eq 'timestamptz' && chance(0.7);
		$window->{param} = 'size' if chance(0.1);
	}
	if ($window->{kind} eq 'trunc' && $view->{time_type} eq 'timestamptz')
	{
		$window->{zone} = pick($case->{zone}, @zones) if chance(0.6);
	}
	return $window;
}

# ---------------------------------------------------------------------------
# the stream

# Where the stream plays: a base, how far rows spread, how much they are out of order.
sub stream
{
	my ($case) = @_;
	my ($year, $month, $day, $hour, $minute, $second) = pick(@bases) =~ /(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)/;

	my $grid = pick(0, 0, 1, 60, 240, 600, 600, 3600, 86400);

	# On a grid as coarse as windows are wide, watermarks often meet their ends.
	return {
		base => timegm($second, $minute, $hour, $day, $month - 1, $year),
		grid => $grid,
		step => $grid ? $grid / pick(1, 3, 10) : pick(0.1, 1, 10, 60, 60, 600, 3600, 86400),
		late_by => pick(4, 20, 200),
		disorder => pick(0, 1, 5, 20),
		far_ends => chance(0.08),
		edges => pick(0, 0.2, 0.6),
		late => pick(0, 0.05, 0.3),
		future => pick(0, 0, 0.02),
		nulls => pick(0, 0.02, 0.1),
		duplicates => pick(0, 0.1, 0.4),
		skew => pick(0, 0, 50, -50),
		limits => pick(0, 0.1, 0.4),
		ahead => pick(0, 0.05, 0.2),
		delay => seconds_of($case->{watermark_delay}),
		seen_upto => {},
		active => pick(1, 1, $case->{partitions}),
		seen => [],
		row => 0 };
}

# Seconds since 1970 and microseconds as text, without a zone; far ends have texts of their own.
sub time_text
{
	my ($seconds, $micros) = @_;
	my @t = gmtime($seconds);

	return sprintf '%04d-%02d-%02d %02d:%02d:%02d.%06d', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ], $micros;
}

# How a view judges lateness: about the length of its windows, what lies between two, and how long it waits.
sub judged
{
	my ($view) = @_;
	my $window = $view->{window};
	my $size = seconds_of($window->{size} // $window->{gap} // "1 $window->{unit}");

	return { size => $size, step => seconds_of($window->{slide} // $window->{step} // '0 seconds') || $size, lateness => seconds_of($view->{lateness}),
		rank => $window->{slide} || $window->{step} ? 3 : 1 };
}

# About where the watermark stands; undef while a partition has shown nothing.
sub watermark
{
	my ($play) = @_;
	my @seen = sort { $a <=> $b } values %{ $play->{seen_upto} };

	return @seen < $play->{active} ? undef : $seen[0] - $play->{delay};
}

# A time at which rows become late for some view: for all of a window, or for some of the windows that overlap there.
sub time_at_limit
{
	my ($play) = @_;
	my $watermark = watermark($play) // return undef;
	my $view = pick(map { ($_) x $_->{rank} } @{ $play->{judged} }) // return undef;
	my $at = $watermark - $view->{lateness} - rand(1.1 * $view->{size});

	return time_text(int $at, int rand 1e6) if chance(0.5);
	$at = $view->{step} * int($at / $view->{step}) if $view->{step} >= 1;
	$at = int $at;
	return chance(0.5) ? time_text($at, 0) : time_text($at - 1, 999999);
}

# A time that is too far ahead of the clock, or just not.
sub time_ahead
{
	my ($play) = @_;
	my $limit = $play->{clock} + $play->{max_future};

	return time_text($limit + int rand(2 * $play->{max_future}), int rand 1e6) if chance(0.3);
	return pick(time_text($limit, 0), time_text($limit, 1), time_text($limit - 1, 999999));
}

# The event time of the next row, undef for NULL.
sub event_time
{
	my ($play, $partition) = @_;
	my $at = $play->{base} + $play->{step} * ($play->{row} + rand($play->{disorder}) - $play->{disorder} / 2 + $partition * $play->{skew});
	my $micros = int rand 1e6;

	return undef if chance($play->{nulls});
	return pick('infinity', '-infinity', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999', '0001-01-01 00:00:00 BC') if $play->{far_ends} && chance(0.1);
	return time_text($at + 86400 * 365 * 80, $micros) if chance($play->{future});
	return time_ahead($play) if defined $play->{clock} && chance($play->{ahead});
	if (chance($play->{limits}))
	{
		my $limit = time_at_limit($play);

		return $limit if defined $limit;
	}
	$play->{seen_upto}{$partition} = $at if $at > ($play->{seen_upto}{$partition} // $at - 1);
	$at -= $play->{step} * rand($play->{late_by}) if chance($play->{late});
	if ($play->{grid})
	{
		$at = $play->{grid} * int($at / $play->{grid});
		return chance(0.05) ? time_text($at - 1, 999999) : time_text($at, 0);
	}
	if (chance($play->{edges}))
	{
		# exactly at an edge, and a microsecond before it
		my $grain = pick(1, 7, 60, 240, 600, 3600, 5400, 86400);

		$at = $grain * int($at / $grain);
		return chance(0.5) ? time_text($at, 0) : time_text($at - 1, 999999);
	}
	return time_text(int $at, $micros);
}

# One record: partition and JSON.
sub record
{
	my ($case, $play) = @_;
	my $partition = int rand $case->{partitions};
	my @fields;

	$partition = int rand $play->{active} if $play->{active} < $case->{partitions};
	$play->{row}++;
	for my $column (@{ $case->{columns} })
	{
		my $value;

		if ($column->{class} eq 'time')
		{
			my $time = event_time($play, $partition);

			$time = $play->{last} if $column->{name} eq 'ts' && chance(0.8);
			$play->{last} = $time;
			$value = defined $time ? '"' . ($column->{type} eq 'timestamptz' ? with_zone($time) : $time) . '"' : 'null';
		}
		elsif (chance($column->{nulls}))
		{
			push @fields, [ $column->{name} ] if chance(0.3);
			next if @fields && $fields[-1][0] eq $column->{name};
			$value = 'null';
		}
		else
		{
			my $flavours = $types{ $column->{type} };

			$value = $flavours->{ $column->{flavour} }->();
			$value = int rand 3000 if $case->{wide} && $column->{class} =~ /^(int|big)$/ && $column->{flavour} eq 'tame';
		}
		push @fields, [ $column->{name}, $value ];
	}
	return [ $partition, $case->{csv} ? csv_text($case->{csv}, map { $_->[1] // 'null' } @fields) : json_text(@fields) ];
}

# Names with values as JSON text; those without are left out.
sub json_text
{
	return '{' . join(', ', map { qq("$_->[0]": $_->[1]) } grep { defined $_->[1] } @_) . '}';
}

# The same as a line of CSV: what is a string there is quoted here where it must be, and sometimes where not.
sub csv_text
{
	my ($csv, @values) = @_;
	my @fields;

	for (@values)
	{
		my $text = /^"/ ? $json->decode($_) : $_;
		my $must = /^"/ && ($text eq $csv->{null} || $text =~ /[\Q$csv->{delimiter}$csv->{quote}\E\r\n]/);

		$text = $csv->{null} if $_ eq 'null';
		$text = $csv->{quote} . ($text =~ s/\Q$csv->{quote}\E/$csv->{quote}$csv->{quote}/gr) . $csv->{quote} if $must || ($_ ne 'null' && length($text) % 3 == 1);
		push @fields, $text;
	}
	return join $csv->{delimiter}, @fields;
}

sub with_zone
{
	my ($time) = @_;

	return $time if $time =~ /infinity/;
	return $time =~ /^(.*) BC$/ ? "$1+00 BC" : "$time+00";
}

# Records, now and then one seen before or one that is no row.
sub records
{
	my ($case, $play, $count) = @_;
	my @records;

	for (1 .. $count)
	{
		if (@{ $play->{seen} } && chance($play->{duplicates}))
		{
			push @records, [ @{ pick(@{ $play->{seen} }) } ];
		}
		elsif (chance(0.005))
		{
			push @records, [ int rand $case->{partitions}, pick('{', 'null', qq({"$case->{event_time}": "yesterday"}), $case->{csv} ? qq("open,a,b) : '[]') ];
		}
		else
		{
			push @records, record($case, $play);
		}
	}
	push @{ $play->{seen} }, @records[ 0 .. ($#records > 20 ? 20 : $#records) ];
	splice @{ $play->{seen} }, 0, 20 if @{ $play->{seen} } > 60;
	return \@records;
}

# ---------------------------------------------------------------------------
# what is done

sub steps
{
	my ($case, $play, $features) = @_;
	my (@steps, @later);

	for my $view (@{ $case->{views} })
	{
		# while workers run, the epoch after which a view judges lateness is not known
		if (chance(0.75) || ($case->{slow} && defined $view->{lateness}))
		{
			push @steps, { do => 'view', view => $view->{name} };
		}
		else
		{
			push @later, { do => 'view', view => $view->{name} };
		}
	}
	my $rounds = 2 + int rand 4;
	my $over = chance(0.12) && !$case->{slow} ? pick(1 .. $rounds) : 0;
	for my $round (1 .. $rounds)
	{
		my $count = $case->{wide} ? 1500 : pick(0, 1, 5, 20, 60, 120);

		push @steps, clock_moves($case, $play) if defined $play->{clock} && chance(0.7);
		push @steps, { do => 'produce', records => records($case, $play, $count) };
		push @steps, $case->{slow} ? disturbances() : runs($case);
		push @steps, { do => 'close', source => pick('table', 'table', 'topic') } if $round == $over;
		push @steps, splice @later, 0, 1 + int rand 2 if @later;
		push @steps, controls($case) if !$case->{slow};
		push @steps, { do => 'check' } if chance(0.5);
	}
	return [ @steps, @later, { do => 'end' } ];
}

# The clock goes to where the stream is, a little or far on, now and then back.
sub clock_moves
{
	my ($case, $play) = @_;
	my $stream = int($play->{base} + $play->{step} * $play->{row});
	my @silence = defined $case->{idle_timeout} ? ($play->{clock} + seconds_of($case->{idle_timeout})) x 5 : ();

	$play->{clock} = pick($stream, $stream, @silence, $play->{clock} + 1, $play->{clock} + 60, $play->{clock} + 3600, $stream + 86400, $play->{clock} - 600);
	return { do => 'clock', at => time_text($play->{clock}, 0) . '+00' };
}

# Options change, views are paused, go on, are filled again.
sub controls
{
	my ($case) = @_;
	my @steps;

	for my $view (@{ $case->{views} })
	{
		my $keeps = $view->{options} && defined $view->{options}{retain};

		if (defined $view->{lateness} && chance($keeps ? 0.15 : 0.03))
		{
			my @long = grep { seconds_of($_) >= seconds_of($view->{lateness}) } @retentions;

			push @steps, { do => 'set', view => $view->{name}, options => { retain => pick(@long, undef) } };
		}
		push @steps, { do => 'pause', view => $view->{name} } if chance(0.03);
		push @steps, { do => 'resume', view => $view->{name} } if chance($view->{options} && !$keeps ? 0.2 : 0.08);
	}
	return @steps;
}

# Steps made of what is there by then: between others, never before the first; while workers run only when all is taken.
sub insert_steps
{
	my ($case, @steps) = @_;

	for (@steps)
	{
		my $at = $case->{slow} ? $#{ $case->{steps} } : 1 + int rand $#{ $case->{steps} };

		splice @{ $case->{steps} }, $at, 0, $_;
	}
}

# Harmless DDL to the topic, the table, and views.  While workers run anywhere.
sub add_ddl
{
	my ($case) = @_;

	for (1 .. 1 + int rand 5)
	{
		my $view = chance(0.5) ? pick(@{ $case->{views} }) : undef;
		my $on = $view ? 'view' : pick(qw(table table topic));
		my $step = { do => 'ddl', what => pick(ddl_names($on)), $view ? (view => $view->{name}) : (on => $on) };

		# another column is another field
		next if $step->{what} eq 'add_column' && $on eq 'topic' && $case->{csv};

		# a unique index of a partitioned table has the partition key
		$step->{what} = 'index' if $step->{what} eq 'unique' && defined $case->{table} && defined $case->{table}{by};
		$step->{max} = $case->{wide} ? 500 : pick(1, 10, 1000) if !$case->{slow};
		splice @{ $case->{steps} }, 1 + int rand $#{ $case->{steps} }, 0, $step;
	}
}

# The ingest goes back, to half of a partition or so; what is unique then is so no more.
sub add_back
{
	my ($case) = @_;

	for (@{ $case->{steps} })
	{
		$_->{what} = 'index' if $_->{do} eq 'ddl' && $_->{what} eq 'unique';
	}
	insert_steps($case, map { { do => 'back', partition => int rand $case->{partitions}, share => rand } } 1 .. 1 + int rand 2);
}

# deltaflow.run of some views, of one of them over and over.
sub add_batches
{
	my ($case) = @_;
	my @views = map { pick(@{ $case->{views} }) } 1 .. 3;

	insert_steps($case, map { batch($case, pick(@views)) } 1 .. pick(0, 2, 4));
	push @{ $case->{steps} }, map { batch($case, $_) } @views[ 0 .. int rand 2 ];
}

# recompute of views, where nothing is removed and nothing capped.
sub add_recomputes
{
	my ($case) = @_;
	my @views = grep { !$_->{options} } @{ $case->{views} };
	my @late = grep { defined $_->{lateness} } @views;

	for (1 .. pick(1, 2, 4))
	{
		my $view = pick(@late, @late, @views) // return;
		my $step = { do => 'recompute', view => $view->{name} };

		$step->{since} = rand if chance(0.6);
		$step->{until} = rand if chance(0.6);
		@$step{qw(since until)} = @$step{qw(until since)} if defined $step->{since} && defined $step->{until} && $step->{since} > $step->{until};
		insert_steps($case, $step);
	}
}

sub batch
{
	my ($case, $view) = @_;
	my $window = $view->{window};
	my @targets = ('absent', 'table', 'hash', $window && !$window->{hidden} ? ('list', $window->{kind} ne 'session' ? ('range', 'range') : ()) : ());
	my $step = { do => 'batch', view => $view->{name}, target => pick(@targets) };

	$step->{since} = rand if chance(0.6);
	$step->{until} = rand if chance(0.6);
	@$step{qw(since until)} = @$step{qw(until since)} if defined $step->{since} && defined $step->{until} && $step->{since} > $step->{until};
	$step->{doubled} = 1 if $step->{target} ne 'absent' && chance(0.3);
	$step->{over} = pick(qw(table partitions view), $case->{slow} ? () : 'topic') if chance(0.4);
	$step->{size} = pick('1 minute', '5 minutes', '36 hours') if $window && defined $window->{param} && chance(0.7);
	$step->{zone} = pick(@zones) if chance(0.3);
	$step->{parallel} = 1 if chance(0.3);
	return $step;
}

# Epochs of random size, some of them for nothing.
sub runs
{
	my ($case) = @_;
	my @runs;

	for my $source ('table', 'topic')
	{
		next if chance(0.3);
		push @runs, { do => 'run', source => $source, abort => 1, max => 1 + int rand 40 } if chance(0.15);
		push @runs, { do => 'run', source => $source, max => $case->{wide} ? 500 : pick(1, 3, 10, 50, 1000) };
		$runs[-1]{cache} = 64 if chance(0.5);
		$runs[-1]{zone} = pick(@zones) if chance(0.3);
	}
	return @runs;
}

# What happens to running workers.
sub disturbances
{
	return map { { do => 'disturb', how => pick('kill', 'terminate', 'terminate', 'restart', 'immediate', 'none') } } 1 .. 1 + int rand 2;
}

1;
