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

use Differential::Batch qw(run_batch run_borders);
use Differential::Ddl qw(ddl_sql);
use Differential::Definition qw(view_sql oracle_sql late_sql compared_sql create_sql is_late_possible final_sql cap_sql has_panes answer_sql);
use Differential::Tables qw(seconds_of);
use JSON::PP;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(play);

my $played = 0;

my %do = (view => \&do_view, produce => \&do_produce, run => \&do_run, disturb => \&do_disturb, clock => \&do_clock, close => \&do_close,
	set => \&do_set, pause => \&do_pause, resume => \&do_resume, batch => \&do_batch, ddl => \&do_ddl, back => \&do_back, recompute => \&do_recompute, check => \&do_check, end => \&do_end);

my $json = JSON::PP->new->canonical->allow_nonref;

sub play
{
	my ($server, $case) = @_;
	my $self = bless {
		server => $server, case => $case, schema => sprintf('d%d', ++$played), topic => sprintf('d%d_%d', $$, $played),
		verdict => { compared => 0, checks => 0, batches => 0, both_fail => 0, capped => 0, refused => {}, rows => 0, late => 0, epochs => 0, script => '' },
		views => { map { $_->{name} => $_ } @{ $case->{views} } }, made => {}, checked => {}, clock => $case->{clock} };

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

	my $clock = defined $self->{clock} ? "SET deltaflow.test_clock = '$self->{clock}';" : '';

	return "SET search_path = $self->{schema}, public; SET TimeZone = '$self->{case}{zone}'; SET client_min_messages = error; SET extra_float_digits = 1; SET statement_timeout = '60s'; SET deltaflow.epoch_interval = '60s'; $clock";
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
	my $options = join '', map { defined $case->{$_} ? ", $_ '$case->{$_}'" : '' } qw(max_future on_future idle_timeout);
	my $format = $case->{csv} ? "format 'csv', " . join(', ', map { "$_ " . literal($case->{csv}{$_}) } sort keys %{ $case->{csv} }) : "format 'json'";
	my $filter = defined $case->{filter} ? ', filter => ' . literal($case->{filter}) : '';
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
	$self->sql("CREATE FOREIGN TABLE raw_topic (part int OPTIONS (metadata 'partition'), value text, off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic '$self->{topic}', format 'raw')");
	$self->sql("CREATE FOREIGN TABLE source_topic ($columns) SERVER broker OPTIONS (topic '$self->{topic}', $format, "
		  . "event_time '$case->{event_time}', watermark_delay '$case->{watermark_delay}'$options)");
	$self->make_table;
	$self->sql('CREATE TABLE everything (LIKE source_topic); '
		  . 'CREATE TABLE clocks (id serial, source text, after_epoch bigint, clock timestamptz); CREATE TABLE closings (source text, epoch bigint)');
	$self->sql("SELECT deltaflow.create_ingest('source_topic', 'source', name => '$self->{schema}_table'$filter)");
	$self->{pipeline}{table} = "$self->{schema}_table";
	$self->note_clock('table');
}

# The table that rows are stored in: plain, or in partitions, the last of which has its columns in another order; an index or none.
sub make_table
{
	my ($self) = @_;
	my $case = $self->{case};
	my $table = $case->{table} // {};
	my @parts = @{ $table->{partitions} // [] };
	my @columns = map { "$_->{name} $_->{type}" . ($_->{not_null} ? ' NOT NULL' : '') } @{ $case->{columns} };
	my $shuffled = 'CREATE TABLE %s (gone int, off bigint, ' . join(', ', reverse @columns) . ', gone_too text, part int); ALTER TABLE %s DROP COLUMN gone, DROP COLUMN gone_too';

	return $self->sql(sprintf $shuffled, ('source') x 2) if !@parts && $table->{shuffled};
	$self->sql('CREATE TABLE source (LIKE source_topic) ' . ($table->{by} // ''));
	for my $i (0 .. $#parts)
	{
		if ($i < $#parts || !$table->{shuffled})
		{
			$self->sql("CREATE TABLE source_$i PARTITION OF source $parts[$i]");
			next;
		}
		$self->sql(sprintf($shuffled, ("source_$i") x 2) . "; ALTER TABLE source ATTACH PARTITION source_$i $parts[$i]");
	}
	$self->sql("CREATE INDEX ON source ($table->{index})") if defined $table->{index};
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

# From this epoch of a pipeline on, it goes by the clock as it is now.
sub note_clock
{
	my ($self, $source) = @_;
	my $epoch = $self->epoch_of($source);

	$self->sql("INSERT INTO clocks (source, after_epoch, clock) VALUES ('$source', $epoch, '$self->{clock}')") if defined $self->{clock} && $self->{pipeline}{$source};
}

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
	$self->{judged}{ $view->{name} } = [ [$made] ];
	$self->{retained}{ $view->{name} } = [ [ $made, $view->{options}{retain} ] ] if $view->{options} && defined $view->{options}{retain};
	$self->{filled}{ $view->{name} } = $made + 1 if $self->is_filled_at_once($view);
	return if $view->{source} ne 'topic' || $self->{pipeline}{topic};
	($self->{topic_pipeline}, $self->{pipeline}{topic}) = split /\|/, $self->sql("SELECT id, name FROM deltaflow.pipeline WHERE topic = 'source_topic'::regclass AND target IS NULL");
	$self->note_clock('topic');
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

# What was there before is filled in at the first epoch, in a single one from a table.
sub is_filled_at_once
{
	my ($self, $view) = @_;

	return $view->{source} eq 'table' || $self->{made}{ $view->{name} } == 0;
}

# The clock moves, for both pipelines.
sub do_clock
{
	my ($self, $step) = @_;

	return if !defined $self->{case}{clock};
	$self->{clock} = $step->{at};
	$self->sql("SET deltaflow.test_clock = '$step->{at}'");
	$self->note_clock($_) for 'table', 'topic';
}

# The input is over, for one of them.
sub do_close
{
	my ($self, $step) = @_;
	my $source = $step->{source};
	my $name = $self->{pipeline}{$source} or return;

	$self->sql("SELECT deltaflow.run_once('$name', close_windows => true)");
	$self->sql("INSERT INTO closings SELECT '$source', epoch FROM deltaflow.pipeline WHERE name = '$name'");
}

# Options of a view change.
sub do_set
{
	my ($self, $step) = @_;
	my $name = $step->{view};

	return if !defined $self->{made}{$name};
	my (undef, $error) = $self->try_sql("SELECT deltaflow.set_view_options('$name', " . literal($json->encode($step->{options})) . ')');
	if (defined $error)
	{
		$self->fail_with('set', $name, $error) if !$self->{views}{$name}{window}{hidden};
		$self->{verdict}{refused}{$error}++;
		return;
	}
	push @{ $self->{retained}{$name} }, [ $self->epoch_of($self->{views}{$name}{source}), $step->{options}{retain} ] if exists $step->{options}{retain};
}

sub state_of
{
	my ($self, $name) = @_;

	return $self->sql("SELECT state FROM deltaflow.view WHERE live = '$name'::regclass");
}

# A view takes no part for a while.
sub do_pause
{
	my ($self, $step) = @_;
	my $name = $step->{view};

	return if !defined $self->{made}{$name} || $self->state_of($name) !~ /^(running|backfilling)$/;
	$self->sql("SELECT deltaflow.pause('$name')");
	$self->{paused}{$name} = 1;
	delete $self->{checked}{$name};
	$self->{judged}{$name}[-1][1] = $self->epoch_of($self->{views}{$name}{source});
}

# A view that was paused, or has failed, is filled again, without caps.
sub do_resume
{
	my ($self, $step) = @_;
	my $name = $step->{view};
	my $view = $self->{views}{$name} or return;

	return if !defined $self->{made}{$name} || $self->state_of($name) !~ /^(paused|failed)$/;
	$self->{no_late}{$name} = 1 if !$self->{paused}{$name};
	$self->{paused}{$name} = 0;
	$self->{resumed}{$name} = $self->{uncapped}{$name} = 1;
	$self->{made}{$name} = $self->epoch_of($view->{source});
	push @{ $self->{judged}{$name} }, [ $self->{made}{$name} ];
	$self->{filled}{$name} = $self->is_filled_at_once($view) ? $self->{made}{$name} + 1 : undef;
	$self->sql("SELECT deltaflow.set_view_options('$name', '{\"max_open_windows\": null, \"max_state_bytes\": null}'); SELECT deltaflow.resume('$name')");
}

# The definition over a range, its source or another relation, into a table.
sub do_batch
{
	my ($self, $step) = @_;
	my $view = $self->{views}{ $step->{view} } or return;

	return if !defined $self->{made}{ $step->{view} };
	$self->finish if $self->{case}{slow};
	run_batch($self, $view, $step);
}

# Something is changed that no view or ingest should mind, the pipelines go on, and it is changed back.
sub do_ddl
{
	my ($self, $step) = @_;
	my $on = $step->{view} ? 'view' : $step->{on};
	my $relation = $step->{view} // { table => 'source', topic => 'source_topic' }->{$on};

	return if $on eq 'view' && !defined $self->{made}{$relation};
	my ($do, $undo) = ddl_sql($step->{what}, $on, o => $relation, s => $self->{schema}, n => ++$self->{ddl});
	$self->sql($do);
	if (!$self->{case}{slow})
	{
		my @names = split /\n/, $self->sql("SELECT name FROM deltaflow.pipeline WHERE name = '$self->{pipeline}{table}' OR id = " . ($self->{topic_pipeline} // 0) . ' ORDER BY id');

		$self->sql("SET deltaflow.epoch_max_records = $step->{max}; SELECT deltaflow.run_once('$_'); RESET deltaflow.epoch_max_records") for @names;
	}
	$self->sql($undo);
}

# The ingest goes back and takes records again: they are stored twice.
sub do_back
{
	my ($self, $step) = @_;
	my $name = $self->{pipeline}{table};
	my $position = $self->sql("SELECT a.next_offset FROM deltaflow.position a JOIN deltaflow.pipeline p ON p.id = a.pipeline_id WHERE p.name = '$name' AND a.topic_partition = $step->{partition}");

	return if $position eq '';

	# it counts as an epoch; a view that waits for its first one would be filled in the second
	my $epoch = $self->epoch_of('table');

	return if grep { $self->{views}{$_}{source} eq 'table' && $self->{made}{$_} == $epoch } keys %{ $self->{made} };
	my $offset = int $position * $step->{share};

	$self->sql("SELECT deltaflow.set_position('$name', $step->{partition}, $offset)");
	$self->{taken_again} += $position - $offset;
}

# A view is made anew from what is stored, of a range or all: with the late rows up to here, in it.
sub do_recompute
{
	my ($self, $step) = @_;
	my $name = $step->{view};
	my $view = $self->{views}{$name} or return;
	my $zone = $self->{case}{zone};

	return if !defined $self->{made}{$name} || $self->state_of($name) ne 'running';
	$self->read_topic;
	my ($since, $until) = $view->{window} && $view->{window}{kind} ne 'session' ? run_borders($self, $view, $step, answer_sql($view, 'everything')) : ();
	my $call = sprintf "SELECT deltaflow.recompute('%s', %s, %s)", $name, map { defined $_ ? literal($_) : 'NULL' } $since, $until;
	my ($changed, $error) = $self->try_sql($call);

	if (defined $error)
	{
		my $own = $self->sql('SELECT differential.failure(' . literal("TABLE ${name}_batch") . ')');

		$self->fail_with('anew', $name, "$error\n$call\n" . create_sql($view)) if $own eq '';
		$self->{verdict}{both_fail}++;
		return;
	}
	my $epoch = $self->epoch_of($view->{source});
	my $time = $view->{time};
	my $at = $view->{time_type} eq 'timestamp' ? " AT TIME ZONE '$zone'" : '';
	my @range = ("epoch_ <= $epoch", (defined $since ? "$time >= timestamptz '$since'$at" : ()), (defined $until ? "$time < timestamptz '$until'$at" : ()));

	push @{ $self->{anew}{$name} }, '(' . join(' AND ', @range) . ')';
	$self->{verdict}{batches}++;
	my $again = $self->sql($call);

	$self->fail_with('anew', $name, "done again it changes $again rows\n$call\n" . create_sql($view)) if $again ne '0' && !is_in_order($view);
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

		# in short pieces: a view that fails meanwhile is not waited for any longer
		while (1)
		{
			my ($views, $error) = $self->try_sql("SELECT bool_and(deltaflow.wait(live::text, '2 s')) FROM deltaflow.view v JOIN deltaflow.pipeline p ON p.id = v.pipeline_id "
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

# Whether what a pipeline takes is not what is stored, once: then the topic is read beside it.
sub stores_less
{
	my ($self) = @_;
	my $case = $self->{case};

	return defined $case->{filter} || ($case->{on_future} // '') eq 'dead_letter' || $self->{taken_again};
}

# An event time too far ahead, by the clock of an epoch.
sub is_future
{
	my ($self, $clock) = @_;
	my $time = $self->event_time;
	my $max = $self->max_future;

	return "coalesce($time = 'infinity' OR $time > $clock + $max, false)";
}

# A fixed length: a day has 24 hours also where the session's zone puts its clocks back.
sub max_future
{
	my ($self) = @_;

	return "interval '1 second' * extract(epoch FROM interval '" . ($self->{case}{max_future} // '1 hour') . "')::float8";
}

sub event_time { return $_[0]{case}{event_time} eq 'ts' ? "(ts AT TIME ZONE 'UTC')" : 'at' }

# The rows of each pipeline with the epoch that took them, as its log says, and the watermark and clock of each epoch.
sub see
{
	my ($self) = @_;
	my $rows = $self->stores_less ? 'everything' : 'source';

	$self->read_topic if $self->stores_less;
	for my $source ('table', 'topic')
	{
		my $name = $self->{pipeline}{$source} or next;
		my $of_view = $source eq 'topic' && ($self->{case}{on_future} // '') eq 'dead_letter';

		# an epoch that took nothing is not in the log, and has not moved the watermark
		$self->sql("DROP TABLE IF EXISTS pg_temp.epochs_$source; CREATE TEMP TABLE epochs_$source AS "
			  . 'SELECT n AS epoch, CASE WHEN l.epoch IS NULL THEN p.watermark ELSE l.watermark END AS wm, '
			  . "coalesce((SELECT clock FROM clocks c WHERE c.source = '$source' AND c.after_epoch < n ORDER BY id DESC LIMIT 1), now()) AS clock "
			  . 'FROM deltaflow.pipeline p CROSS JOIN LATERAL generate_series(1, p.epoch) AS n '
			  . "LEFT JOIN LATERAL (SELECT epoch, watermark FROM deltaflow.epoch e WHERE e.pipeline_id = p.id AND e.epoch >= n ORDER BY e.epoch LIMIT 1) l ON true WHERE p.name = '$name'");
		$self->sql("DROP TABLE IF EXISTS pg_temp.taken_$source, pg_temp.seen_$source; CREATE TEMP TABLE taken_$source AS SELECT s.*, e.epoch AS epoch_, e.watermark AS wm_, w.clock AS clock_ FROM $rows s "
			  . "JOIN deltaflow.epochs e ON e.name = '$name' AND e.partition = s.part AND s.off >= e.first_offset AND s.off < e.next_offset JOIN epochs_$source w ON w.epoch = e.epoch; "
			  . "CREATE TEMP TABLE seen_$source AS SELECT * FROM taken_$source WHERE " . $self->is_row($source));
	}
}

# Which of the records taken become rows.  Of views over the topic see see_for().
sub is_row
{
	my ($self, $source) = @_;
	my $case = $self->{case};
	my @conditions = ('true');

	push @conditions, 'NOT ' . $self->is_future('clock_') if $source eq 'table' && ($case->{on_future} // '') eq 'dead_letter';
	push @conditions, "($case->{filter})" if $source eq 'table' && defined $case->{filter};
	return join ' AND ', @conditions;
}

# What the topic holds, as a query reads it.
sub read_topic
{
	my ($self) = @_;

	return if $self->{read_rows} && $self->{read_rows} == $self->{verdict}{rows};
	$self->sql('TRUNCATE everything; INSERT INTO everything SELECT ' . $self->column_names . ' FROM source_topic');
	$self->{read_rows} = $self->{verdict}{rows};
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
		next if $state->[0] eq 'paused' && $self->{paused}{ $view->{name} };
		$self->{filled}{ $view->{name} } //= $self->epoch_of($view->{source});
		$self->check_view($view, @$state);
	}
}

# What was too far in the future when the pipeline took it stays aside for every view over the topic; where a view is filled
# later the clock then is asked as well.
sub has_own_rows
{
	my ($self, $view) = @_;

	return $view->{source} eq 'topic' && ($self->{case}{on_future} // '') eq 'dead_letter';
}

sub see_for
{
	my ($self, $view) = @_;
	my $made = $self->{made}{ $view->{name} };
	my $filled = $self->is_future("coalesce((SELECT clock FROM epochs_topic WHERE epoch = $made + 1), now())");
	my $taken = $self->is_future('clock_');

	$self->sql('DROP TABLE IF EXISTS pg_temp.seen_of_view; '
		  . "CREATE TEMP TABLE seen_of_view AS SELECT * FROM seen_topic WHERE NOT ($taken OR (epoch_ <= $made AND $filled))");
}

# SQL with what is known of a view in its places.
sub filled_in
{
	my ($self, $view, $sql) = @_;
	my $name = $view->{name};
	my @judged = map { "(epoch_ > $_->[0]" . (defined $_->[1] ? " AND epoch_ <= $_->[1])" : ')') } @{ $self->{judged}{$name} };
	my $judged = '(' . join(' OR ', @judged) . ')';
	my $removed = defined $self->{removed} ? "'$self->{removed}'::timestamptz" : 'NULL::timestamptz';

	$sql =~ s/\bseen_topic\b/seen_of_view/g if $self->has_own_rows($view);
	$sql =~ s/\bjudged_\b/$judged/g;
	$sql =~ s/\banew_\b/$self->{anew}{$name} ? '(' . join(' OR ', @{ $self->{anew}{$name} }) . ')' : 'false'/ge;
	$sql =~ s/\bmade_\b/$self->{made}{$name}/g;
	$sql =~ s/\bremoved_\b/$removed/g;
	$sql =~ s/\bupto_\b/$self->{upto}/g;
	return $sql;
}

# The first epoch at whose end a cap of the view is exceeded; undef when none is.
sub cap_exceeded
{
	my ($self, $view) = @_;

	return undef if !$view->{options} || $self->{uncapped}{ $view->{name} };
	my $sql = cap_sql($view, $self->{case}{zone}) or return undef;
	my $epoch = $self->sql($self->filled_in($view, $sql));

	return $epoch eq '' ? undef : $epoch;
}

# Windows of the view that end there or before may have been removed, and whether they certainly are.
sub note_removed
{
	my ($self, $view) = @_;
	my $name = $view->{name};
	my $spans = $self->{retained}{$name};
	my @spans;

	$self->{removed} = undef;
	return 1 if !$spans;
	for my $i (0 .. $#$spans)
	{
		my ($from, $retain) = @{ $spans->[$i] };
		my $upto = $i < $#$spans ? $spans->[ $i + 1 ][0] : 1e9;

		my $seconds = defined $retain ? seconds_of($retain) : undef;

		# a session stays until no row can touch it
		my $touched = $view->{window}{kind} eq 'session' ? seconds_of($view->{lateness}) + seconds_of($view->{window}{gap}) : 0;
		$seconds = $touched if defined $seconds && $touched > $seconds;
		push @spans, "($from, $upto, " . ($seconds // 'NULL') . '::float8)';
	}
	my $greatest = "SELECT max(wm - make_interval(secs => retain)) FROM epochs_$view->{source} JOIN (VALUES " . join(', ', @spans) . ') s (from_, upto, retain) '
	  . "ON epoch > from_ AND epoch <= upto WHERE isfinite(wm) AND wm > '4600-01-01 BC'";
	my ($all, $certain) = split /\|/, $self->sql("SELECT ($greatest), ($greatest AND epoch > $self->{filled}{$name})"), 2;

	$self->{removed} = $all if $all ne '';
	return $all eq $certain && !$self->{resumed}{$name};
}

# What the live view should be, and the whole answer where it may hold more.
sub expected
{
	my ($self, $view, %how) = @_;
	my $zone = $self->{case}{zone};

	return $self->filled_in($view, oracle_sql($view, $zone, %how)) if ($view->{emit} // '') ne 'close';
	my $watermark = $self->sql("SELECT watermark FROM deltaflow.pipeline WHERE name = '$self->{pipeline}{ $view->{source} }'");

	return $self->filled_in($view, final_sql($view, $zone, $watermark, %how));
}

# The live view against the oracle; windows that were retained for long enough may be gone.
sub compare
{
	my ($self, $view, %how) = @_;
	my $name = $view->{name};
	my $exactly = $self->note_removed($view) && !(has_panes($view) && $self->{retained}{$name});
	my $kept = $self->{retained}{$name} ? 1 : 0;
	my $live = literal(compared_sql($view, "SELECT * FROM $name"));
	my $expected = literal(compared_sql($view, $self->expected($view, %how, kept => $kept)));

	return $self->sql("SELECT differential.compare($live, $expected)") if $exactly;
	my $all = literal(compared_sql($view, $self->expected($view, %how)));
	return $self->sql("SELECT differential.compare_kept($live, $all, $expected)");
}

# A view that failed because it exceeded a cap: with the reason, and as the epoch before left it.
sub check_capped
{
	my ($self, $view, $state, $error, $epoch) = @_;
	my $name = $view->{name};
	my $reason = defined $view->{options}{max_open_windows} ? "view has more than $view->{options}{max_open_windows} open windows" : 'state of the view takes more than 1 bytes';

	$self->fail_with('cap', $name, "a cap is exceeded in epoch $epoch, but the view is $state ($error)\n" . create_sql($view))
	  if $state ne 'failed' || index($error, $reason) < 0;
	$self->{verdict}{capped}++;
	return if !$self->is_filled_at_once($view) || ($self->{made}{$name} > 0 && $epoch <= $self->{made}{$name} + 1);
	local $self->{upto} = $epoch - 1;
	my $retained = $self->{retained}{$name};

	# nothing is removed from a view that has failed
	local $self->{retained}{$name} = [ (grep { $_->[0] < $epoch - 1 } @$retained), [ $epoch - 1, undef ] ] if $retained;
	my $answer = $self->compare($view, upto => 1);

	$self->fail_with('capped', $name, "after the epoch before $epoch, when it failed: $answer\n" . create_sql($view)) if $answer !~ /^(same$|both fail)/;
}

# One view against the oracle.
sub check_view
{
	my ($self, $view, $state, $error) = @_;
	my $zone = $self->{case}{zone};
	my $name = $view->{name};
	my $everything = $self->filled_in($view, oracle_sql($view, $zone, everything => 1));

	$self->see_for($view) if $self->has_own_rows($view);
	$self->{verdict}{checks}++;
	if ($state ne 'running')
	{
		delete $self->{checked}{$name};
		my $capped = $self->cap_exceeded($view);

		return $self->check_capped($view, $state, $error, $capped) if defined $capped && $error =~ /more than \S+ (open windows|bytes)/;
		my $expected = $self->sql('SELECT differential.failure(' . literal($everything) . ')');

		$self->fail_with('failed', $name, "the view is $state ($error), its definition is not\n" . view_sql($view)) if $expected eq '';
		$self->fail_with('failed', $name, "the view is $state without a reason") if $error eq '';
		$self->{verdict}{both_fail}++;
		return;
	}
	my $capped = $self->cap_exceeded($view);

	# filled from the topic in several epochs, it may never have exceeded it
	$self->check_capped($view, $state, $error, $capped) if defined $capped && $self->is_filled_at_once($view);
	my $answer = $self->compare($view);

	if ($answer =~ /^both fail/)
	{
		delete $self->{checked}{$name};
		$self->{verdict}{both_fail}++;
		return;
	}
	$self->fail_with('differ', $name, "$answer\n" . create_sql($view)) if $answer ne 'same';
	$self->{checked}{$name} = 1;
	return if !is_late_possible($view) || $self->{no_late}{$name};

	my $columns = $view->{window}{kind} eq 'session' ? "''" : "window_start::text || ' ' || window_end::text";
	my $late = $self->sql("SELECT differential.compare_sets("
		  . literal("SELECT partition || ':' || record_offset || ' ' || $columns FROM deltaflow.late_rows WHERE name = '$name'")
		  . ', ' . literal($self->filled_in($view, late_sql($view, $zone))) . ", 'declared late', 'late by the log')");

	$self->fail_with('late', $name, "$late\n" . create_sql($view)) if $late ne 'same';
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
	$self->check_stored;
	$self->check_copied if $self->{case}{csv};
	$self->check_watermarks;
	$self->{verdict}{epochs} += $self->epoch_of('table') + $self->epoch_of('topic');
	$self->check_twins;
	$self->check_reconcile;
	$self->check_recompute;
}

# The table holds the rows of the topic that the filter wants and that are not set aside, and the books say what became of the others.
sub check_stored
{
	my ($self) = @_;

	$self->read_topic;
	my $taken = $self->stores_less ? 'taken_table' : '(SELECT s.*, e.epoch AS epoch_, e.watermark AS wm_, now() AS clock_ FROM everything s JOIN deltaflow.epochs e '
	  . "ON e.name = '$self->{pipeline}{table}' AND e.partition = s.part AND s.off >= e.first_offset AND s.off < e.next_offset) t";
	my $is_row = $self->is_row('table');
	my $answer = $self->sql('SELECT differential.compare_sets(' . literal('SELECT s::text FROM (SELECT ' . $self->column_names . ' FROM source) s') . ', '
		  . literal('SELECT t::text FROM (SELECT ' . $self->column_names . " FROM $taken WHERE $is_row) t") . ", 'stored', 'in the topic')");

	$self->fail_with('stored', undef, $answer) if $answer ne 'same';
	my $future = ($self->{case}{on_future} // '') eq 'dead_letter' ? $self->is_future('clock_') : 'false';
	my $total = $self->{verdict}{rows} + ($self->{taken_again} // 0);
	my $books = $self->sql("SELECT sum(consumed), sum(filtered), sum(dead) FROM deltaflow.accounting WHERE name = '$self->{pipeline}{table}'");
	my $implied = $self->sql("SELECT $total, count(*) FILTER (WHERE NOT $future AND ($is_row) IS NOT TRUE), $total - count(*) FILTER (WHERE NOT $future) FROM $taken");

	$self->fail_with('books', undef, "consumed, filtered and dead are $books, by the topic $implied") if $books ne $implied;
}

# COPY reads the lines that are rows as the topic does.
sub check_copied
{
	my ($self) = @_;
	my $csv = $self->{case}{csv};
	my $names = join ', ', map { $_->{name} } @{ $self->{case}{columns} };
	my $lines = $self->sql('SELECT value FROM raw_topic r JOIN everything e USING (part, off)');
	my $options = join ', ', map { uc($_) . ' ' . literal($csv->{$_}) } sort keys %$csv;

	my $file = "$self->{server}{dir}/lines";

	open(my $fh, '>:utf8', $file) or die "$file: $!";
	print $fh map { "$_\n" } split /\n/, $lines;
	close $fh;
	chmod 0644, $file;
	$self->sql("CREATE TEMP TABLE copied AS SELECT $names FROM everything WITH NO DATA; COPY copied FROM '$file' WITH (FORMAT csv, $options)");
	my $answer = $self->sql("SELECT differential.compare_sets('SELECT c::text FROM copied c', 'SELECT e::text FROM (SELECT $names FROM everything) e', 'by COPY', 'of the topic'); DROP TABLE copied");

	$self->fail_with('csv', undef, $answer) if $answer ne 'same';
}

sub column_names
{
	my ($self) = @_;

	return join ', ', (map { $_->{name} } @{ $self->{case}{columns} }), 'part', 'off';
}

sub check_watermarks
{
	my ($self) = @_;
	my $case = $self->{case};
	my $time = $self->event_time;
	my $idle = defined $case->{idle_timeout} ? "'$case->{idle_timeout}'" : 'NULL';
	my $future = $self->max_future;

	for my $source ('table', 'topic')
	{
		my $name = $self->{pipeline}{$source} or next;
		# rows that were filtered out have moved it, too
		my $answer = $self->sql("DROP TABLE IF EXISTS pg_temp.differential_seen; CREATE TEMP TABLE differential_seen AS SELECT part, epoch_, $time AS time_ FROM taken_$source; "
			  . "SELECT differential.watermarks('$name', '$source', $case->{partitions}, '$case->{watermark_delay}', $future, $idle)");

		$self->fail_with('watermark', undef, "$name: $answer") if $answer ne 'same';
	}
}

# Views over the table without late rows, checked and running.
sub settled
{
	my ($self) = @_;
	my %late = map { $_ => 1 } split /\n/, $self->sql('SELECT live::text FROM deltaflow.view WHERE late_rows > 0');

	return grep { $self->{checked}{ $_->{name} } && $_->{source} eq 'table' && !$late{ $_->{name} } && !$self->{retained}{ $_->{name} } && !$_->{options} } @{ $self->{case}{views} };
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

# reconcile finds nothing it cannot explain, or fails as the definition does over all rows, late ones included.  Not
# asked where a plain query rounds.
sub check_reconcile
{
	my ($self) = @_;

	for my $view (@{ $self->{case}{views} })
	{
		my $name = $view->{name};

		next if !$self->{checked}{$name} || $view->{emit} || grep { defined $_->{oracle} || $_->{mode} eq 'close' } @{ $view->{aggregates} };
		my $rows = $self->ask_batch('reconcile', $view, "SELECT * FROM deltaflow.reconcile('$name') WHERE reason NOT LIKE '%late rows%' LIMIT 8");

		next if !defined $rows;
		$self->fail_with('reconcile', $name, "$rows\n" . view_sql($view)) if $rows ne '';
		push @{ $self->{reconciled} }, $view;
		last if @{ $self->{reconciled} } == 3;
	}
}

# What a statement says that reads what the batch view reads; undef where it fails as that does.
sub ask_batch
{
	my ($self, $kind, $view, $statement) = @_;
	my ($answer, $error) = $self->try_sql($statement);

	return $answer if !defined $error;
	my $own = $self->sql('SELECT differential.failure(' . literal("TABLE $view->{name}_batch") . ')');

	$self->fail_with($kind, $view->{name}, "$error\n" . view_sql($view)) if $own eq '' || index($error, $own) < 0;
	$self->{verdict}{both_fail}++;
	return;
}

# recompute takes the late rows in; then nothing differs any more, and doing it again changes nothing.
sub check_recompute
{
	my ($self) = @_;

	for my $view (@{ $self->{reconciled} || [] })
	{
		my $name = $view->{name};

		next if !defined $self->ask_batch('recompute', $view, "SELECT deltaflow.recompute('$name', NULL, NULL)");
		my $rows = $self->sql("SELECT * FROM deltaflow.reconcile('$name') LIMIT 8");

		$self->fail_with('recompute', $name, "$rows\n" . view_sql($view)) if $rows ne '';
		my $changed = $self->sql("SELECT deltaflow.recompute('$name', NULL, NULL)");

		$self->fail_with('recompute', $name, "done again it changes $changed rows\n" . view_sql($view)) if $changed ne '0';
	}
}

1;
