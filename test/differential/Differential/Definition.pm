#
# Definition.pm
#		A definition in parts, so that it can be written twice: as the view has it, and as
#		the oracle's query over the rows that the epoch log accepts.
#
# A view is a hash: name, source (table or topic), time and time_type of its window,
# window (a row of Tables), keys, aggregates, where, having, lateness, emit, from, options.
#
# The oracle reads seen_table or seen_topic: the rows of a pipeline with the watermark their
# epoch began with (wm_) and its number (epoch_).  A row is late for a window when
# window end + lateness <= wm_, in epochs after the view was made (made_), unless recompute has taken it in since (anew_).  Windows that end at or before
# removed_ need not be there any more (option retain), rows after epoch upto_ have not been taken (a cap was
# exceeded).  Where a window ends is computed here, in SQL, not by deltaflow.
#
package Differential::Definition;

use strict;
use warnings;

use Exporter 'import';

use JSON::PP;

use Differential::Tables qw(seconds_of);

our @EXPORT_OK = qw(view_sql oracle_sql late_sql compared_sql create_sql final_sql cap_sql is_late_possible has_panes answer_sql batch_sql borders_sql in_range_sql);

my $json = JSON::PP->new->canonical->allow_nonref;

my %canonical = (
	text => sub { "$_[0]::text" },
	scale => sub { "pg_catalog.trim_scale($_[0])::text" },
	zero => sub { "($_[0] + 0)::text" });

sub time_of { return $_[0]{time} }

# The windowed function or expression of the view.
sub window_start
{
	my ($view) = @_;
	my $window = $view->{window};
	my $time = time_of($view);

	if ($window->{kind} eq 'bin')
	{
		my $size = defined $window->{param} ? "deltaflow.param('$window->{param}', interval '$window->{size}')" : "'$window->{size}'";

		return "date_bin($size, $time, '$window->{origin}')";
	}
	return "date_trunc('$window->{unit}', $time" . (defined $window->{zone} ? ", '$window->{zone}')" : ')') if $window->{kind} eq 'trunc';
	return 'h.window_start';
}

# Where that window ends, by the calendar; beyond the calendar, never.
sub window_end
{
	my ($view, $zone) = @_;
	my $window = $view->{window};
	my $start = window_start($view);
	my $length = $window->{size} // "1 $window->{unit}";
	my $end = "$start + interval '$length'";

	return 'h.window_end' if $window->{kind} =~ /^(hop|cumulate)$/;
	$length = '3 months' if $length eq '1 quarter';
	$end = "$start + interval '$length'";
	if ($window->{kind} eq 'bin' && $length =~ /^(\d+) days?$/)
	{
		my $hours = 24 * $1;

		$end = "$start + interval '$hours hours'";
	}
	elsif ($window->{kind} eq 'trunc' && $view->{time_type} eq 'timestamptz' && $window->{unit} !~ /^(second|minute|hour)$/)
	{
		my $calendar = $window->{zone} // $zone;

		$end = "($start AT TIME ZONE '$calendar' + interval '$length') AT TIME ZONE '$calendar'";
	}
	return "CASE WHEN $start < '293000-01-01' THEN $end WHEN $start IS NOT NULL THEN 'infinity' END";
}

# The condition under which a row of seen_* is late for its window; undef when none can be.
sub late_condition
{
	my ($view, $zone) = @_;
	my $limit;

	return undef if !is_late_possible($view);
	if ($view->{window}{kind} eq 'session')
	{
		my $time = time_of($view);

		$limit = "CASE WHEN $time < '293000-01-01' THEN $time + interval '" . hours($view->{window}{gap}) . "' + interval '" . hours($view->{lateness}) . "' WHEN $time IS NOT NULL THEN 'infinity' END";
	}
	else
	{
		$limit = '(' . window_end($view, $zone) . ") + interval '" . hours($view->{lateness}) . "'";
	}
	$limit = instant($view, $limit);
	return "(epoch_ > made_ AND $limit <= wm_ AND anew_ IS NOT TRUE)";
}

# Windows that overlap are kept in panes.
sub has_panes
{
	my ($view) = @_;

	return $view->{window} && $view->{window}{kind} =~ /^(hop|cumulate)$/;
}

# A time of the view's type as an instant.
sub instant
{
	my ($view, $time) = @_;

	return $view->{time_type} eq 'timestamp' ? "(($time) AT TIME ZONE 'UTC')" : "($time)";
}

sub is_late_possible
{
	my ($view) = @_;

	return defined $view->{window} && defined $view->{lateness};
}

# FROM, with what stands between source and definition.
sub from_clause
{
	my ($view, $relation, $form) = @_;
	my $window = $view->{window};
	my $from = $view->{from} // 'plain';
	my $clause = $from eq 'subquery' ? "(SELECT * FROM $relation WHERE true) q" : $from eq 'cte' ? 'c q' : "$relation q";

	return $clause if !$window || $window->{kind} !~ /^(hop|cumulate)$/;
	my $first = $window->{slide} // $window->{step};
	my $origin = defined $window->{origin} ? ", '$window->{origin}'" : '';

	my $call = "deltaflow.$window->{kind}(" . time_of($view) . ", interval '$first', interval '$window->{size}'$origin)";
	$call = windows_by_hand($view, $call) if $form eq 'oracle';
	return "$clause CROSS JOIN LATERAL $call h";
}

# Intervals with days as hours: windows are of fixed length.
sub hours
{
	return $_[0] =~ s/^(\d+) days?$/24 * $1 . ' hours'/er;
}

# The windows of a time by their definition; deltaflow's own function only where the calendar ends.
sub windows_by_hand
{
	my ($view, $call) = @_;
	my $window = $view->{window};
	my $time = time_of($view);
	my $zone = $view->{time_type} eq 'timestamptz' ? '+00' : '';
	my $origin = $window->{origin} // "2000-01-01 00:00:00$zone";
	my ($step, $size) = map { "interval '" . hours($_) . "'" } $window->{slide} // $window->{step}, $window->{size};
	my $near = "$time > '4000-01-01 BC' AND $time < '290000-01-01'";
	my $many = "ceil(extract(epoch FROM $size) / extract(epoch FROM $step))::int";
	my $by_hand = $window->{kind} eq 'hop'
	  ? "SELECT s AS window_start, s + $size AS window_end FROM generate_series(0, $many - 1) AS n, LATERAL (SELECT date_bin($step, $time, '$origin') - n * $step AS s) x WHERE $near AND s + $size > $time"
	  : "SELECT s AS window_start, s + n * $step AS window_end FROM generate_series(1, $many) AS n, LATERAL (SELECT date_bin($size, $time, '$origin') AS s) x WHERE $near AND s + n * $step > $time";

	return "($by_hand UNION ALL SELECT * FROM $call f WHERE ($near) IS NOT TRUE)";
}

# The sessions of rows as islands between pauses: FROM with column s_.
sub sessions_by_hand
{
	my ($view, $from, $by) = @_;
	my $time = time_of($view);
	my $gap = "interval '" . hours($view->{window}{gap}) . "'";
	my $range = $view->{time_type} eq 'timestamptz' ? 'tstzrange' : 'tsrange';
	my $partition = $by eq '' ? '' : "PARTITION BY $by ";
	my $within = $by eq '' ? 'PARTITION BY island_' : "PARTITION BY $by, island_";
	my $before = "lag($time) OVER (${partition}ORDER BY $time)";
	my $continues = "CASE WHEN $time = $before THEN true WHEN NOT isfinite($time) OR NOT isfinite($before) THEN false "
	  . "WHEN $before > '290000-01-01' THEN $time - $before < $gap ELSE $time < $before + $gap END";
	my $end = "CASE WHEN max($time) OVER ($within) < '290000-01-01' THEN max($time) OVER ($within) + $gap ELSE 'infinity' END";

	return "(SELECT *, CASE WHEN $time IS NULL THEN NULL WHEN NOT isfinite($time) THEN $range($time, $time, '[]') ELSE $range(min($time) OVER ($within), $end) END AS s_ "
	  . "FROM (SELECT *, count(*) FILTER (WHERE new_) OVER (${partition}ORDER BY $time) AS island_ FROM (SELECT *, ($continues) IS NOT TRUE AS new_ FROM $from) a) b)";
}

sub output_columns
{
	my ($view) = @_;
	my $n = 0;
	my @columns = map { { name => 'k' . ++$n, mode => $_->{mode} } } grep { !$_->{hidden} } @{ $view->{keys} };

	push @columns, { name => 'w', mode => 'text' } if $view->{window} && !$view->{window}{hidden};
	push @columns, { name => 'we', mode => 'text' } if $view->{window} && $view->{window}{kind} =~ /^(hop|cumulate)$/;
	$n = 0;
	push @columns, map { { name => 'a' . ++$n, mode => $_->{mode}, rounded => defined $_->{oracle} } } @{ $view->{aggregates} };
	return @columns;
}

# The SELECT, over a relation; form says whose expressions of aggregates to take.
sub select_sql
{
	my ($view, $relation, $form, @conditions) = @_;
	my $window = $view->{window};
	my $session = $window && $window->{kind} eq 'session';
	my ($n, @list, @group) = (0);
	my @where = (@{ $view->{where} }, @conditions);
	my $where = @where ? ' WHERE ' . join(' AND ', map { "($_)" } @where) : '';
	my $from = from_clause($view, $relation, $form);

	for my $key (@{ $view->{keys} })
	{
		my $position = ++$n;
		my $expression = $session ? "p$position" : $key->{sql};

		push @group, $expression;
		push @list, "$expression AS k" . (1 + grep { / AS k\d+$/ } @list) if !$key->{hidden};
	}
	if ($session)
	{
		my @partition = map { $_->{sql} } @{ $view->{keys} };
		my $i = 0;
		my $keys = join '', map { ', ' . $_ . ' AS p' . ++$i } @partition;
		my $by = @partition ? 'PARTITION BY ' . join(', ', @partition) . ' ' : '';
		my $time = time_of($view);

		$from = "(SELECT q.*$keys, deltaflow.session($time, interval '$window->{gap}') OVER (${by}ORDER BY $time) AS s_ FROM $from$where) q" if $form ne 'oracle';
		$from = sessions_by_hand($view, "(SELECT q.*$keys FROM $from$where) q", join ', ', map { "p$_" } 1 .. $i) . ' q' if $form eq 'oracle';
		$where = '';
		push @group, 's_';
		push @list, 's_ AS w' if !$window->{hidden};
	}
	elsif ($window)
	{
		push @group, window_start($view);
		push @list, window_start($view) . ' AS w' if !$window->{hidden};
		if ($window->{kind} =~ /^(hop|cumulate)$/)
		{
			push @group, 'h.window_end';
			push @list, 'h.window_end AS we';
		}
	}
	$n = 0;
	push @list, map { ($form eq 'oracle' ? $_->{oracle} // $_->{sql} : $_->{sql}) . ' AS a' . ++$n } @{ $view->{aggregates} };
	my $with = ($view->{from} // '') eq 'cte' ? "WITH c AS (SELECT * FROM $relation) " : '';
	my $group = @group ? ' GROUP BY ' . join(', ', @group) : '';
	my $having = defined $view->{having} ? " HAVING $view->{having}" : '';

	return "${with}SELECT " . join(', ', @list) . " FROM $from$where$group$having";
}

# The definition, as create_view gets it.
sub view_sql
{
	my ($view) = @_;

	return select_sql($view, $view->{source} eq 'topic' ? 'source_topic' : 'source', 'view');
}

sub create_sql
{
	my ($view, $name) = @_;
	my $options = defined $view->{lateness} && !$view->{lateness_of_retain} ? ", lateness => '$view->{lateness}'" : '';

	$options .= ", options => '" . $json->encode($view->{options}) . "'" if $view->{options};
	$options .= ", emit => '$view->{emit}'" if defined $view->{emit};
	$name //= $view->{name};
	return "SELECT deltaflow.create_view('$name', \$definition\$" . view_sql($view) . "\$definition\$$options)";
}

# The same over the rows that the log accepts; made is the epoch after which the view judged lateness.
# Of how: everything, late or not; kept, only windows that are certainly there yet; upto, only rows up to that epoch.
sub oracle_sql
{
	my ($view, $zone, %how) = @_;
	my $late = late_condition($view, $zone);
	my @conditions = defined $late && !$how{everything} ? ("$late IS NOT TRUE") : ();

	if ($how{kept} && $view->{window}{kind} eq 'session')
	{
		my $is_kept = '(' . instant($view, 'upper(s_)') . ' <= removed_) IS NOT TRUE';

		$view = { %$view, having => defined $view->{having} ? "($view->{having}) AND $is_kept" : $is_kept };
	}
	elsif ($how{kept})
	{
		push @conditions, '(' . instant($view, window_end($view, $zone)) . ' <= removed_) IS NOT TRUE';
	}
	push @conditions, 'epoch_ <= upto_' if $how{upto};
	return select_sql($view, "seen_$view->{source}", 'oracle', @conditions);
}

# The same of windows that are final at a watermark ('': none): what emit => 'close' shows.
sub final_sql
{
	my ($view, $zone, $watermark, %how) = @_;
	my $final = {%$view};
	my $end = $view->{window}{kind} eq 'session' ? "upper(s_) + interval '" . hours($view->{window}{gap}) . "'" : '(' . window_end($view, $zone) . ')';

	$end = instant($view, "$end + interval '" . hours($view->{lateness}) . "'");
	my $is_final = $watermark eq '' ? 'false' : "$end <= '$watermark'";
	$final->{having} = defined $view->{having} ? "($view->{having}) AND $is_final" : $is_final;
	return oracle_sql($final, $zone, %how);
}

# The greatest common divisor of two lengths, in seconds.
sub pane_width
{
	my ($a, $b) = map { seconds_of($_) } @_;

	($a, $b) = ($b, $a % $b) while $b > 0;
	return $a;
}

# What is stored of a row: where its window, or pane, begins, and up to which watermark that is open.
sub stored_window
{
	my ($view, $zone) = @_;
	my $window = $view->{window};
	my $time = time_of($view);
	my $lateness = "interval '" . hours($view->{lateness}) . "'";

	return (window_start($view), instant($view, '(' . window_end($view, $zone) . ") + $lateness"), 'true') if !has_panes($view);
	my $origin = "'" . ($window->{origin} // '2000-01-01 00:00:00' . ($view->{time_type} eq 'timestamptz' ? '+00' : '')) . "'";
	my ($step, $size) = map { "interval '" . hours($_) . "'" } $window->{slide} // $window->{step}, $window->{size};
	my $width = "interval '" . pane_width($window->{slide} // $window->{step}, $window->{size}) . " seconds'";
	my $start = "date_bin($width, $time, $origin)";
	my $last = $window->{kind} eq 'hop' ? "$start + $size" : "date_bin($size, $time, $origin) + $size";

	my $has_window = "$time IS NOT NULL AND (NOT isfinite($time) OR date_bin($step, $time, $origin) + $size > $time)";

	# a row that was late for all of its windows, the last of which may end before the pane counts as closed, is not stored
	my $late = '(epoch_ > made_ AND ' . instant($view, "date_bin($step, $time, $origin) + $size + $lateness") . ' <= wm_)';

	$has_window .= " AND $late IS NOT TRUE" if $window->{kind} eq 'hop';
	return ($start, instant($view, "$last + $lateness"), $has_window);
}

# The first epoch at whose end a cap is exceeded, from the epochs of the log; '' when none is.
sub cap_sql
{
	my ($view, $zone) = @_;
	my $options = $view->{options};
	my $exceeded = ($options->{max_state_bytes} // '') eq '1' ? 'true' : defined $options->{max_open_windows} ? "n > $options->{max_open_windows}" : return undef;
	my ($start, $limit, $has_window) = stored_window($view, $zone);
	my $rows = "SELECT $start AS start_, $limit AS limit_, epoch_ FROM seen_$view->{source} WHERE " . join(' AND ', map { "($_)" } @{ $view->{where} }, $has_window);

	# a cap is looked at when something is written; what was there before the view is written at its first epoch
	return "SELECT min(e.epoch) FROM epochs_$view->{source} e CROSS JOIN LATERAL ("
	  . 'SELECT count(DISTINCT start_) FILTER (WHERE (limit_ <= e.wm) IS NOT TRUE) AS n, '
	  . 'bool_or(CASE WHEN epoch_ <= made_ THEN e.epoch = made_ + 1 ELSE epoch_ = e.epoch AND (limit_ <= e.wm) IS NOT TRUE END) AS wrote '
	  . "FROM ($rows) r WHERE epoch_ <= e.epoch) x WHERE e.epoch > made_ AND wrote AND $exceeded";
}

# The rows (with their windows) that the log says are late.
sub late_sql
{
	my ($view, $zone) = @_;
	my $late = late_condition($view, $zone);

	return undef if !defined $late;
	$late =~ s/epoch_ > made_/judged_/;
	$late =~ s/ AND anew_ IS NOT TRUE//;
	my $from = from_clause($view, "seen_$view->{source}", 'oracle');
	my $with = ($view->{from} // '') eq 'cte' ? "WITH c AS (SELECT * FROM seen_$view->{source}) " : '';
	my $window = $view->{window}{kind} eq 'session' ? "''" : in_utc($view, window_start($view)) . " || ' ' || " . in_utc($view, '(' . window_end($view, $zone) . ')');

	return "${with}SELECT part || ':' || off || ' ' || $window FROM $from WHERE " . join(' AND ', map { "($_)" } @{ $view->{where} }, $late);
}

sub in_utc
{
	my ($view, $time) = @_;

	return $view->{time_type} eq 'timestamp' ? "($time AT TIME ZONE 'UTC')::text" : "($time)::text";
}

# The definition over a relation, as a plain query has it, and as the oracle has it.
sub batch_sql
{
	my ($view, $relation) = @_;

	return select_sql($view, $relation, 'view');
}

sub answer_sql
{
	my ($view, $relation) = @_;

	return select_sql($view, $relation, 'oracle');
}

# What of the answer's rows (columns as output_columns names them) tells where their window begins, undef when nothing does.
sub start_of_row
{
	my ($view) = @_;

	return undef if !$view->{window} || $view->{window}{hidden};
	return $view->{window}{kind} eq 'session' ? 'lower(w)' : 'w';
}

# Times, as run takes them, at which a range of an answer may begin and end: borders of its windows, of sessions any.
sub borders_sql
{
	my ($view, $zone, $answer) = @_;
	my $window = $view->{window};
	my $start = start_of_row($view) // return undef;
	my $plain = $view->{time_type} eq 'timestamp';
	my $back = sub { $plain ? "(($_[0]) AT TIME ZONE '$zone')" : "($_[0])" };
	my $border = 'true';
	my @borders = ($start);

	push @borders, 'upper(w)', "lower(w) + interval '1 microsecond'", "lower(w) - interval '1 second'" if $window->{kind} eq 'session';
	push @borders, "w + interval '" . hours($window->{size}) . "'" if defined $window->{size};
	push @borders, "w + interval '1 $window->{unit}'" if defined $window->{unit} && $window->{unit} ne 'quarter';
	$border = window_start({ %$view, time => 'b' }) . ' = b' if $window->{kind} =~ /^(bin|trunc)$/;

	# a local time that the clocks skip is none
	$border .= ' AND ' . $back->('b') . " AT TIME ZONE '$zone' = b" if $plain;
	my $far = "b > '4700-01-01 BC' AND b < '290000-01-01'";
	my $all = join ' UNION ', map { "SELECT $_ AS b FROM a WHERE $start > '4600-01-01 BC' AND $start < '280000-01-01'" } @borders;

	return "WITH a AS MATERIALIZED ($answer), b AS MATERIALIZED ($all) SELECT " . $back->('b') . " AT TIME ZONE 'UTC' || ' UTC' FROM b WHERE CASE WHEN $far THEN $border END ORDER BY b";
}

# Of an answer's rows, those whose windows begin in a range.
sub in_range_sql
{
	my ($view, $zone, $since, $until) = @_;
	my $start = start_of_row($view);
	my $at = $view->{time_type} eq 'timestamp' ? " AT TIME ZONE '$zone'" : '';
	my @conditions = ('true');

	push @conditions, "$start >= timestamptz '$since'$at" if defined $since;
	push @conditions, "$start < timestamptz '$until'$at" if defined $until;
	return join ' AND ', @conditions;
}

# A query's rows as (e, c): what must be equal, as one text, and what must be close, as floats.
# With plain, without columns that a plain query rounds.
sub compared_sql
{
	my ($view, $query, %how) = @_;
	my @columns = grep { !$how{plain} || !$_->{rounded} } output_columns($view);
	my $exact = join ', ', map { $canonical{ $_->{mode} }->($_->{name}) } grep { $_->{mode} ne 'close' } @columns;
	my $close = join ', ', map { "$_->{name}::float8" } grep { $_->{mode} eq 'close' } @columns;

	return "SELECT ROW($exact)::text AS e, ARRAY[$close]::float8[] AS c FROM ($query) d";
}

1;
