#
# Play.pm
#		Plays a case on a server and says whether live and batch were equal throughout.
#
#   my $verdict = play($server, $case);
#   $verdict->{failure}     undef, or { kind => 'differ', view => 'v3', step => 7, detail => '...' }
#   $verdict->{compared}    definitions compared, once each;  checks, both_fail, refused, rows, late (rows and windows), epochs
#   $verdict->{script}      the statements, as a script that psql can run
#
package Differential::Play;

use strict;
use warnings;

use Exporter 'import';

use Differential::Definition qw(view_sql oracle_sql late_sql compared_sql create_sql is_late_possible final_sql);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(play);

my $played = 0;

my %do = (view => \&do_view, produce => \&do_produce, run => \&do_run, disturb => \&do_disturb, check => \&do_check, end => \&do_end);

sub play
{
	my ($server, $case) = @_;
	my $self = bless {
		server => $server, case => $case, schema => sprintf('d%d', ++$played), topic => sprintf('d%d_%d', $$, $played),
		verdict => { compared => 0, checks => 0, both_fail => 0, refused => {}, rows => 0, late => 0, epochs => 0, script => '' },
		views => { map { $_->{name} => $_ } @{ $case->{views} } }, made => {}, checked => {} };

	eval { $self->play_steps; 1 } or do
	{
		my $error = $@;

		die $error if !ref $error;
		$self->{verdict}{failure} = $error;
	};
	$self->clear;
	return $self->{verdict};
}

sub fail_with
{
	my ($self, $kind, $view, $detail) = @_;

	die { kind => $kind, view => $view, step => $self->{step}, detail => $detail };
}

sub play_steps
{
	my ($self) = @_;

	$self->{step} = 0;
	$self->{server}->workers($self->{case}{slow} ? 'on' : 'off');
	$self->prepare;
	for my $step (@{ $self->{case}{steps} })
	{
		$self->{step}++;
		my $begun = time;
		$do{ $step->{do} }->($self, $step);
		$self->{verdict}{seconds}{ $step->{do} } += time - $begun;
	}
	my @crashes = $self->{server}->crashes;
	$self->fail_with('crash', undef, join("\n", @crashes)) if @crashes;
	$self->{verdict}{compared} = keys %{ $self->{checked} };
	$self->{verdict}{late} += $_ for values %{ $self->{late} };
}

# ---------------------------------------------------------------------------
# talking to the server

# The result of statements; a failure of the case when they fail.
sub sql
{
	my ($self, $text) = @_;
	my ($out, $error) = $self->try_sql($text);

	$self->fail_with('error', undef, "$error\n$text") if defined $error;
	return $out;
}

sub try_sql
{
	my ($self, $text) = @_;
	my $server = $self->{server};

	if (!$server->{pid} || !$self->{session} || $self->{session} != $server->{pid})
	{
		$server->wait_until_up;
		$self->{session} = $server->{pid};
		$server->sql($self->session_settings);
	}
	$self->{verdict}{script} .= "$text;\n";
	return $server->sql($text);
}

sub session_settings
{
	my ($self) = @_;

	return "SET search_path = $self->{schema}, public; SET TimeZone = '$self->{case}{zone}'; SET client_min_messages = error; SET extra_float_digits = 1; SET statement_timeout = '60s';";
}

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return $text =~ /\\/ ? "E'" . ($text =~ s/\\/\\\\/gr) . "'" : "'$text'";
}

# Schema, topic and ingest.
sub prepare
{
	my ($self) = @_;
	my $case = $self->{case};
	my @columns = map { "$_->{name} $_->{type}" . ($_->{not_null} ? ' NOT NULL' : '') } @{ $case->{columns} };
	my $columns = join ', ', @columns, "part int OPTIONS (metadata 'partition')", "off bigint OPTIONS (metadata 'offset')";

	if ($self->{server}{broker}->can('command'))
	{
		$self->{server}{broker}->command("create $self->{topic} $case->{partitions}");
	}
	else
	{
		$self->{server}{broker}->control([ 'create', $self->{topic}, $case->{partitions} ]);
	}
	$self->{session} = 0;
	$self->{verdict}{script} = "-- seed $case->{seed}\n" . $self->session_settings . "\n";
	$self->sql("CREATE SCHEMA $self->{schema}");
	$self->sql("CREATE FOREIGN TABLE raw_topic (part int OPTIONS (metadata 'partition'), value text) SERVER broker OPTIONS (topic '$self->{topic}', format 'raw')");
	$self->sql("CREATE FOREIGN TABLE source_topic ($columns) SERVER broker OPTIONS (topic '$self->{topic}', format 'json', "
		  . "event_time '$case->{event_time}', watermark_delay '$case->{watermark_delay}')");
	$self->sql('CREATE TABLE source (LIKE source_topic)');
	$self->sql("SELECT deltaflow.create_ingest('source_topic', 'source', name => '$self->{schema}_table')");
	$self->{pipeline}{table} = "$self->{schema}_table";
}

# Everything the case made.
sub clear
{
	my ($self) = @_;
	my $server = $self->{server};

	$server->wait_until_up;
	$server->sql("ROLLBACK; SET client_min_messages = error; DROP SCHEMA IF EXISTS $self->{schema} CASCADE; DISCARD ALL");
}

# ---------------------------------------------------------------------------
# steps

# The epoch a pipeline stands at; 0 when there is none yet.
sub epoch_of
{
	my ($self, $source) = @_;

	return 0 if !$self->{pipeline}{$source};
	return 0 + $self->sql("SELECT coalesce(max(epoch), 0) FROM deltaflow.pipeline WHERE name = '$self->{pipeline}{$source}'");
}

sub do_view
{
	my ($self, $step) = @_;
	my $view = $self->{views}{ $step->{view} } or return;
	my $made = $self->epoch_of($view->{source});
	my (undef, $error) = $self->try_sql(create_sql($view));

	if (defined $error)
	{
		my (undef, $invalid) = $self->try_sql('EXPLAIN ' . view_sql($view));

		$self->fail_with('generator', $view->{name}, "$invalid\n" . view_sql($view)) if defined $invalid;
		$self->{verdict}{refused}{ $error =~ s/ at character \d+//r }++;
		return;
	}
	$self->{made}{ $view->{name} } = $made;
	$self->{pipeline}{topic} //= $self->sql("SELECT name FROM deltaflow.pipeline WHERE topic = 'source_topic'::regclass AND target IS NULL")
	  if $view->{source} eq 'topic';
}

sub do_produce
{
	my ($self, $step) = @_;
	my @values = map { "($_->[0], " . literal($_->[1]) . ')' } @{ $step->{records} };

	$self->sql('INSERT INTO raw_topic VALUES ' . join(', ', splice @values, 0, 500)) while @values;
	$self->{verdict}{rows} += @{ $step->{records} };
}

sub do_run
{
	my ($self, $step) = @_;
	my $name = $self->{pipeline}{ $step->{source} } or return;
	my @settings = ("SET deltaflow.epoch_max_records = $step->{max}");

	push @settings, "SET deltaflow.group_cache = $step->{cache}" if $step->{cache};
	push @settings, "SET TimeZone = '$step->{zone}'" if $step->{zone};
	my $run = "SELECT deltaflow.run_once('$name')";

	$run = "BEGIN; $run; ROLLBACK" if $step->{abort};
	$self->sql(join('; ', @settings, $run, 'RESET deltaflow.epoch_max_records', 'RESET deltaflow.group_cache', "SET TimeZone = '$self->{case}{zone}'"));
}

# Something happens to a worker, or to the server.
sub do_disturb
{
	my ($self, $step) = @_;
	my $how = $step->{how};

	return if $how eq 'none';
	return $self->{server}->restart($how eq 'restart' ? 'fast' : 'immediate') if $how =~ /^(restart|immediate)$/;
	my ($pids) = $self->try_sql(q{SELECT pid FROM deltaflow.workers() WHERE alive AND pipeline_id IS NOT NULL ORDER BY random() LIMIT 1});

	return if $pids !~ /^(\d+)$/m;
	my $sent = kill(($how eq 'kill' ? 'KILL' : 'TERM'), $1);

	# a killed worker takes all sessions with it
	$self->{server}->wait_until_down if $sent && $how eq 'kill';
}

# Everything produced is taken, as far as pipelines run.
sub finish
{
	my ($self, @sources) = @_;

	for my $source (@sources ? @sources : ('table', 'topic'))
	{
		my $name = $self->{pipeline}{$source} or next;

		if (!$self->{case}{slow})
		{
			$self->sql("SELECT deltaflow.run_once('$name')");
			next;
		}
		my $deadline = time + 60;
		while (1)
		{
			my ($views, $error) = $self->try_sql("SELECT bool_and(deltaflow.wait(live::text, '20 s')) FROM deltaflow.view v JOIN deltaflow.pipeline p ON p.id = v.pipeline_id "
				  . "WHERE p.name = '$name' AND v.state IN ('running', 'backfilling')");

			last if !defined $error && $views ne 'f';
			$self->fail_with('stuck', undef, $self->sql('SELECT name, state, lag_records, last_error, hint FROM deltaflow.status')) if time > $deadline;
		}
		$self->sql("SELECT deltaflow.wait('$name', '20 s')") if $source eq 'table';
	}
}

# The table must hold every row that views over the topic have seen.
sub table_first
{
	my ($self) = @_;

	return $self->finish if $self->{case}{slow};
	return if !$self->{pipeline}{topic};
	my $ahead = $self->sql("SELECT count(*) FROM deltaflow.pipeline p JOIN deltaflow.position a ON a.pipeline_id = p.id AND p.name = '$self->{pipeline}{topic}' "
		  . "JOIN deltaflow.pipeline t ON t.name = '$self->{pipeline}{table}' LEFT JOIN deltaflow.position b ON b.pipeline_id = t.id AND b.topic_partition = a.topic_partition "
		  . 'WHERE a.next_offset > coalesce(b.next_offset, 0)');

	$self->sql("SELECT deltaflow.run_once('$self->{pipeline}{table}')") if $ahead;
}

# The stored rows with the epoch that took them, as each pipeline's log says.
sub see
{
	my ($self) = @_;

	for my $source ('table', 'topic')
	{
		my $name = $self->{pipeline}{$source} or next;

		$self->sql("DROP TABLE IF EXISTS pg_temp.seen_$source; CREATE TEMP TABLE seen_$source AS SELECT s.*, e.epoch AS epoch_, e.watermark AS wm_ FROM source s "
			  . "JOIN deltaflow.epochs e ON e.name = '$name' AND e.partition = s.part AND s.off >= e.first_offset AND s.off < e.next_offset");
	}
}

sub do_check
{
	my ($self, $step, $last) = @_;

	$self->table_first;
	$self->see;
	my %state;
	for (split /\n/, $self->sql("SELECT live::regclass::text, state, last_error FROM deltaflow.view WHERE live::text NOT LIKE '%twin'"))
	{
		my ($name, $state, $error) = split /\|/, $_, 3;
		$state{$name} = [ $state, $error ];
	}
	for my $view (@{ $self->{case}{views} })
	{
		next if !exists $self->{made}{ $view->{name} };
		my $state = $state{ $view->{name} };

		next if $state->[0] eq 'backfilling' && !$last;
		$self->check_view($view, @$state);
	}
}

sub filled_in
{
	my ($self, $view, $sql) = @_;

	$sql =~ s/\bmade_\b/$self->{made}{ $view->{name} }/g;
	return $sql;
}

# One view against the oracle.
sub check_view
{
	my ($self, $view, $state, $error) = @_;
	my $zone = $self->{case}{zone};
	my $name = $view->{name};
	my $everything = $self->filled_in($view, oracle_sql($view, $zone, 1));

	$self->{verdict}{checks}++;
	if ($state ne 'running')
	{
		delete $self->{checked}{$name};
		my $expected = $self->sql('SELECT differential.failure(' . literal($everything) . ')');

		$self->fail_with('failed', $name, "the view is $state ($error), its definition is not\n" . view_sql($view)) if $expected eq '';
		$self->fail_with('failed', $name, "the view is $state without a reason") if $error eq '';
		$self->{verdict}{both_fail}++;
		return;
	}
	my $accepted = $self->filled_in($view, oracle_sql($view, $zone));

	if (($view->{emit} // '') eq 'close')
	{
		my $watermark = $self->sql("SELECT watermark FROM deltaflow.pipeline WHERE name = '$self->{pipeline}{ $view->{source} }'");

		$accepted = $self->filled_in($view, final_sql($view, $zone, $watermark));
	}
	my $answer = $self->sql('SELECT differential.compare(' . literal(compared_sql($view, "SELECT * FROM $name")) . ', ' . literal(compared_sql($view, $accepted)) . ')');

	if ($answer =~ /^both fail/)
	{
		delete $self->{checked}{$name};
		$self->{verdict}{both_fail}++;
		return;
	}
	$self->fail_with('differ', $name, "$answer\n" . view_sql($view)) if $answer ne 'same';
	$self->{checked}{$name} = 1;
	return if !is_late_possible($view);

	my $columns = $view->{window}{kind} eq 'session' ? "''" : "window_start::text || ' ' || window_end::text";
	my $late = $self->sql("SELECT differential.compare_sets("
		  . literal("SELECT partition || ':' || record_offset || ' ' || $columns FROM deltaflow.late_rows WHERE name = '$name'")
		  . ', ' . literal($self->filled_in($view, late_sql($view, $zone))) . ')');

	$self->fail_with('late', $name, "$late\n" . view_sql($view)) if $late ne 'same';
	$self->{late}{$name} = $self->sql("SELECT late_rows FROM deltaflow.view WHERE live = '$name'::regclass");
}

# After the last record: everything is there, the books balance, the log explains the watermark.
sub do_end
{
	my ($self, $step) = @_;

	$self->finish;
	$self->do_check($step, 1);
	my $books = $self->sql("SELECT * FROM deltaflow.accounting WHERE consumed <> applied + late + dead + filtered + redelivered");

	$self->fail_with('books', undef, $books) if $books ne '';
	$books = $self->sql("SELECT sum(applied), (SELECT count(*) FROM source) FROM deltaflow.accounting WHERE name = '$self->{pipeline}{table}' HAVING sum(applied) <> (SELECT count(*) FROM source)");
	$self->fail_with('books', undef, "rows applied and stored: $books") if $books ne '';
	$books = $self->sql('SELECT view_id, topic_partition, fill_next, fill_upto, p.next_offset FROM deltaflow.view_position p JOIN deltaflow.view v ON v.id = p.view_id '
		  . q(WHERE v.state = 'running' AND (fill_next <> fill_upto OR fill_upto > p.next_offset)));
	$self->fail_with('books', undef, "views over the topic that are not filled: $books") if $books ne '';
	$self->check_watermarks;
	$self->{verdict}{epochs} += $self->epoch_of('table') + $self->epoch_of('topic');
	$self->check_twins;
	$self->check_reconcile;
}

sub check_watermarks
{
	my ($self) = @_;
	my $case = $self->{case};
	my $time = $case->{event_time} eq 'ts' ? "ts AT TIME ZONE 'UTC'" : 'at';

	for my $source ('table', 'topic')
	{
		my $name = $self->{pipeline}{$source} or next;
		my $answer = $self->sql("DROP TABLE IF EXISTS pg_temp.differential_seen; CREATE TEMP TABLE differential_seen AS SELECT part, epoch_, $time AS time_ FROM seen_$source; "
			  . "SELECT differential.watermarks('$name', $case->{partitions}, '$case->{watermark_delay}')");

		$self->fail_with('watermark', undef, "$name: $answer") if $answer ne 'same';
	}
}

# Views over the table without late rows, checked and running.
sub settled
{
	my ($self) = @_;
	my %late = map { $_ => 1 } split /\n/, $self->sql('SELECT live::text FROM deltaflow.view WHERE late_rows > 0');

	return grep { $self->{checked}{ $_->{name} } && $_->{source} eq 'table' && !$late{ $_->{name} } } @{ $self->{case}{views} };
}

# Whether the last digits of its states depend on the order of rows, which a table does not keep.
sub is_in_order
{
	my ($view) = @_;

	return scalar grep { $_->{mode} eq 'close' && !defined $_->{oracle} } @{ $view->{aggregates} };
}

# The same definition, filled from the stored rows at one go, has the same state.
sub check_twins
{
	my ($self) = @_;
	my @views = (grep { !is_in_order($_) } $self->settled)[ 0 .. 2 ];
	my @twins;

	for my $view (grep { defined } @views)
	{
		$self->sql(create_sql($view, "$view->{name}_twin"));
		push @twins, $view;
	}
	return if !@twins;
	$self->finish('table');
	for my $view (@twins)
	{
		my $name = $view->{name};
		my ($state, $twin) = split /\n/, $self->sql("SELECT differential.digest('${name}_state'); SELECT differential.digest('${name}_twin_state')");

		next if $state eq $twin;
		my $rows = $self->sql("SELECT 'folded', s::text FROM (SELECT s::text FROM ${name}_state s EXCEPT ALL SELECT s::text FROM ${name}_twin_state s) s "
			  . "UNION ALL SELECT 'filled', s::text FROM (SELECT s::text FROM ${name}_twin_state s EXCEPT ALL SELECT s::text FROM ${name}_state s) s LIMIT 8");
		$self->fail_with('state', $name, "$rows\n" . view_sql($view));
	}
}

# reconcile finds nothing it cannot explain.  Not asked where a plain query rounds.
sub check_reconcile
{
	my ($self) = @_;

	for my $view (@{ $self->{case}{views} })
	{
		next if !$self->{checked}{ $view->{name} } || $view->{emit} || grep { defined $_->{oracle} || $_->{mode} eq 'close' } @{ $view->{aggregates} };
		my $rows = $self->sql("SELECT * FROM deltaflow.reconcile('$view->{name}') WHERE reason NOT LIKE '%late rows%' LIMIT 8");

		$self->fail_with('reconcile', $view->{name}, "$rows\n" . view_sql($view)) if $rows ne '';
		last if ++$self->{reconciled} == 3;
	}
}

1;
