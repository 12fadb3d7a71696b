#
# 020_kafka_client.pl
#		The Kafka client inside a backend: its threads take no signals, it ends with
#		whatever opened it, a broker that is away is waited for and can be given up,
#		and secrets stay out of the log.
#
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use IPC::Run qw(start pump timeout);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $mock = Deltaflow::Mock->start(brokers => 2, topics => { orders => 3 });
my $node = deltaflow_node('client', 'deltaflow.enabled = off');
my $password = 'correct-horse-battery';

$mock->produce('orders', map { qq({"id": $_, "note": ") . 'x' x 200 . '"}' } 1 .. 20_000);
create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders (id int, note text) SERVER broker OPTIONS (topic 'orders', format 'json');
	CREATE FOREIGN TABLE written (id int, note text) SERVER broker OPTIONS (topic 'written', format 'json')});

# A psql that stays open: run() gives what a statement printed, pid() its backend.
package Session
{
	sub new
	{
		my ($class) = @_;
		my $self = bless { in => '', out => '', err => '' }, $class;

		$self->{psql} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
			'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, IPC::Run::timeout(120));
		$self->{pid} = $self->run('SELECT pg_backend_pid()');
		return $self;
	}

	# Sends statements without waiting for them.
	sub send
	{
		my ($self, $sql) = @_;

		$self->{out} = $self->{err} = '';
		$self->{in} .= "$sql;\n\\echo done\n";
		IPC::Run::pump_nb($self->{psql});
	}

	# Waits for what was sent.
	sub wait
	{
		my ($self) = @_;

		$self->{psql}->pump until $self->{out} =~ /^done$/m;
		(my $out = $self->{out}) =~ s/\n?done\n//;
		return $out;
	}

	sub run
	{
		my ($self, $sql) = @_;

		$self->send($sql);
		return $self->wait;
	}

	sub close
	{
		my ($self) = @_;

		$self->{in} .= "\\q\n";
		eval { $self->{psql}->finish };
	}
}

# [name, mask of blocked signals] of each thread of a backend that the library made.
sub library_threads
{
	my ($pid) = @_;
	my @threads;

	for my $task (glob "/proc/$pid/task/*")
	{
		my ($name, $blocked) = map { Deltaflow::Broker::slurp("$task/$_") } qw(comm status);

		next if $task =~ m{/$pid$};
		chomp $name;
		push @threads, [ $name, hex substr($1, -8) ] if $blocked =~ /^SigBlk:\s*([0-9a-f]+)/m;
	}
	return @threads;
}

sub alive
{
	my ($pid) = @_;

	return -e "/proc/$pid" && Deltaflow::Broker::slurp("/proc/$pid/status") !~ /^State:\s*Z/m;
}

SKIP:
{
	skip 'threads are looked at through /proc', 8 if !-d '/proc/self/task';
	my $session = Session->new;

	# signals 1 to 31 but KILL and STOP, which nobody can block
	my $all = 0x7fffffff & ~(1 << 8) & ~(1 << 18);

	$session->run('BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders; FETCH 10 FROM c');
	my @threads = library_threads($session->{pid});

	cmp_ok(scalar @threads, '>=', 2, 'a scan has threads of the library: ' . join(', ', map { $_->[0] } @threads));
	is_deeply([ grep { ($_->[1] & $all) != $all } @threads ], [], 'all of them block all signals');
	$session->run('ROLLBACK');
	is(scalar library_threads($session->{pid}), 0, 'they end with the transaction that held the scan');

	$session->run('SELECT 1 / (id - 50) FROM orders');
	like($session->{err}, qr/division by zero/, 'an error in the middle of a scan');
	is(scalar library_threads($session->{pid}), 0, 'leaves no thread behind');

	$session->run('SELECT * FROM orders LIMIT 1');
	is(scalar library_threads($session->{pid}), 0, 'a scan that stops early leaves none');

	$session->run(q{BEGIN; INSERT INTO written SELECT g, 'x' FROM generate_series(1, 100) g});
	is(scalar(grep { ($_->[1] & $all) != $all } library_threads($session->{pid})), 0, 'a producer has none that takes signals');
	$session->run('COMMIT');
	is(scalar library_threads($session->{pid}), 0, 'and none after the transaction');
	$session->close;
}

# A session that is terminated, or leaves, in the middle of a scan.
my $session = Session->new;

$session->run('BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders; FETCH 10 FROM c');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($session->{pid})");
wait_for(sub { !alive($session->{pid}) }, 'the terminated backend to be gone', 10)
  and pass('a backend with a scan open can be terminated');
$session->close;

$session = Session->new;
$session->run('BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders; FETCH 10 FROM c');
$session->close;
wait_for(sub { !alive($session->{pid}) }, 'the backend to be gone', 10) and pass('or leave');

# The broker goes away in the middle: the scan waits, can be cancelled, and goes on.
$session = Session->new;
$session->run('BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM orders');
$mock->command('down 0');
$session->send('FETCH 1 FROM c');
$session->{psql}->pump_nb;
$mock->command('up 0');
is($session->wait, 20000, 'a scan outlives a broker that comes back');
$session->run('COMMIT');

$mock->command('down 0');
my $start = time;

$session->run("SET statement_timeout = '500ms'; SELECT count(*) FROM orders; RESET statement_timeout");
like($session->{err}, qr/canceling statement due to statement timeout/, 'asking a broker that is away can be cancelled');
cmp_ok(time - $start, '<', 5, 'at once');

$session->send(q{INSERT INTO written VALUES (1, 'x')});
$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $session->{pid}");
$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
$session->wait;
like($session->{err}, qr/canceling statement due to user request/, 'so can waiting for acknowledgements');
$session->run('BEGIN');
$session->send('SELECT count(*) FROM orders');
$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $session->{pid}");
$node->stop('fast');
pass('a fast shutdown does not wait for a broker');
$session->close;
$mock->command('up 0');
$node->start;

# Credentials of a mapping, against a broker that does not take them.
$node->safe_psql('postgres', qq{
	SET log_statement = 'none';
	ALTER SERVER broker OPTIONS (ADD "security.protocol" 'sasl_plaintext', ADD "sasl.mechanism" 'PLAIN');
	CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS ("sasl.username" 'someone', "sasl.password" '$password')});
my ($status, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM orders');

like($err, qr/could not find the partitions of topic "orders"/, 'a broker that does not take credentials is an error');
unlike($err, qr/\Q$password\E/, 'which does not tell the password');
unlike(slurp_file($node->logfile), qr/\Q$password\E/, 'nor does the log');

$node->stop;
done_testing();
