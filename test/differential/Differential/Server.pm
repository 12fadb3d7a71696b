#
# Server.pm
#		One server, one broker, one session, for many cases.
#
#   my $server = Differential::Server->start(top => $top, library => undef);
#   my ($out, $error) = $server->sql($text);          # of all statements; the first error, undef for none
#   $server->restart('immediate'); $server->workers('on');
#
# With a library (the directory of a deltaflow.so) that one is tested instead of the
# installed one; with kafka, an address, that broker is used instead of the mock.
#
package Differential::Server;

use strict;
use warnings;

use Carp;
use Deltaflow::Broker;
use Deltaflow::Mock;
use File::Temp qw(tempdir);
use IPC::Open2;

sub start
{
	my ($class, %options) = @_;
	my $dir = tempdir('dfdXXXXXX', TMPDIR => 1);
	my $self = bless { dir => $dir, owner => $$, %options }, $class;
	my @settings = ('fsync=off', 'deltaflow.enabled=off', 'log_min_messages=warning', 'deltaflow.naptime=1s', 'restart_after_crash=on', 'autovacuum_naptime=5s',
		'max_worker_processes=64');

	chmod 0755, $dir;
	if ($self->{library})
	{
		# where the server's user can read it
		mkdir "$dir/lib";
		system("cp '$self->{library}/deltaflow.so' '$dir/lib/' && chmod -R a+rX '$dir/lib'") == 0 or croak "no deltaflow.so in $self->{library}";
		# not preloaded: making the extension loads the installed one
		push @settings, "dynamic_library_path='$dir/lib:\$libdir'", q(shared_preload_libraries='');
	}
	$self->tool("start '$dir/c' " . join ' ', map { "\"$_\"" =~ s/\$/\\\$/gr } @settings);
	my $environment = $self->tool("env '$dir/c'");
	while ($environment =~ /(PG\w+)=(\S+)/g)
	{
		$self->{env}{$1} = $2;
	}
	$self->{broker} = $self->{kafka} ? bless({ address => $self->{kafka} }, 'Deltaflow::Broker') : Deltaflow::Mock->start;
	$self->prepare;
	return $self;
}

sub tool
{
	my ($self, $arguments) = @_;
	my $out = `'$self->{top}/tools/cluster' $arguments`;

	croak "tools/cluster $arguments failed" if $? != 0;
	return $out;
}

# Extensions, the server object and the oracle's functions.
sub prepare
{
	my ($self) = @_;
	my $address = $self->{broker}->address;
	my (undef, $error) = $self->sql("CREATE EXTENSION deltaflow; CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS (\"bootstrap.servers\" '$address');");

	croak $error if defined $error;
	if ($self->{library})
	{
		(undef, $error) = $self->sql(q{UPDATE pg_proc SET probin = 'deltaflow' WHERE probin = '$libdir/deltaflow'});
		croak $error if defined $error;
		$self->reconnect;
	}
	(undef, $error) = $self->sql(Deltaflow::Broker::slurp("$self->{top}/test/differential/oracle.sql"));
	croak $error if defined $error;
	my ($found) = $self->sql(q{SELECT name FROM pg_available_extensions WHERE name = 'hll'});
	$self->{features}{hll} = 1 if $found =~ /hll/ && !defined(($self->sql('CREATE EXTENSION hll'))[1]);
	my ($windows) = $self->sql(q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'deltaflow'::regnamespace AND proname IN ('hop', 'cumulate', 'session')});
	$self->{features}{windows}{$_} = 1 for split /\n/, $windows;
}

# Which of the windows create_view keeps: functions may exist before views can use them.
sub features { return $_[0]{features} }

# ---------------------------------------------------------------------------
# the session

sub connect
{
	my ($self) = @_;
	local %ENV = (%ENV, %{ $self->{env} });

	$self->{pid} = open2($self->{out}, $self->{in}, "psql -X -q -A -t -P null='' -v VERBOSITY=terse 2>&1");
	binmode $self->{in}, ':utf8';
	binmode $self->{out}, ':utf8';
	$self->{marker} = 0;
}

sub disconnect
{
	my ($self) = @_;

	return if !$self->{pid};
	close $self->{in};
	close $self->{out};
	waitpid($self->{pid}, 0);
	$self->{pid} = undef;
}

sub reconnect
{
	my ($self) = @_;

	$self->disconnect;
	$self->connect;
}

# Runs statements.  Returns what they printed and the first error; a lost connection is one.
sub sql
{
	my ($self, $text) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my (@lines, $error);

	$self->connect if !$self->{pid};
	my $marker = 'end of ' . ++$self->{marker};
	my ($in, $out) = @$self{qw(in out)};
	print $in "$text\n;\n\\echo $marker\n";
	$in->flush;
	while (1)
	{
		my $line = <$out>;

		if (!defined $line)
		{
			$self->disconnect;
			return (join("\n", @lines), $error // 'connection lost');
		}
		chomp $line;
		last if $line eq $marker;
		$error //= $1 if $line =~ /^(?:psql:.*?: )?(?:ERROR|FATAL|PANIC):  (.*)/;
		next if $line =~ /^(?:WARNING|NOTICE|DETAIL|HINT|LINE \d+|CONTEXT|LOG):?/ || $line =~ /^\s+\^$/;
		push @lines, $line if $line !~ /^(?:ERROR|FATAL):  /;
	}
	return (join("\n", @lines), $error);
}

# Waits until the session is lost, as it is when another process of the server was killed.
sub wait_until_down
{
	my ($self) = @_;
	my $deadline = time + 10;

	until (defined(($self->sql('SELECT 1'))[1]))
	{
		croak 'a killed worker did not end the session' if time > $deadline;
		select undef, undef, undef, 0.02;
	}
	$self->disconnect;
}

# Waits until the server answers.
sub wait_until_up
{
	my ($self) = @_;
	my $deadline = time + 60;

	while (defined(($self->sql('SELECT 1'))[1]))
	{
		croak 'the server does not come up' if time > $deadline;
		$self->disconnect;
		select undef, undef, undef, 0.1;
	}
}

# Turns workers on or off for the cases to come.
sub workers
{
	my ($self, $state) = @_;

	return if ($self->{workers} // 'off') eq $state;
	$self->{workers} = $state;
	$self->sql("ALTER SYSTEM SET deltaflow.enabled = $state; SELECT pg_reload_conf()");
}

sub restart
{
	my ($self, $mode) = @_;

	# a server told to stop while it recovers from a crash may wait for its checkpointer for ever (15)
	$self->wait_until_up;
	$self->disconnect;
	if (!eval { $self->tool("stop '$self->{dir}/c' $mode"); 1 })
	{
		$self->{keep} = 1;
		croak "the server does not stop ($mode); $self->{dir} is kept: see its log";
	}
	$self->tool("start '$self->{dir}/c' >/dev/null");
}

# Lines of the log that no test should cause.
sub crashes
{
	my ($self) = @_;
	my @lines = grep { /terminated by signal (?!9)|PANIC:|TRAP:/ } split /\n/, Deltaflow::Broker::slurp("$self->{dir}/c/log");

	my @new = @lines[ ($self->{crashes_seen} // 0) .. $#lines ];
	$self->{crashes_seen} = @lines;
	return @new;
}

sub stop
{
	my ($self) = @_;

	return if $self->{stopped} || $self->{owner} != $$;
	$self->{stopped} = 1;
	$self->disconnect;
	return if $self->{keep};
	system("'$self->{top}/tools/cluster' destroy '$self->{dir}/c' >/dev/null 2>&1");
	system("rm -rf '$self->{dir}'");
	$self->{broker}->stop if $self->{broker} && $self->{broker}->can('stop');
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);

	$self->stop;
}

1;
