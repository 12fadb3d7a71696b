#
# Mock.pm
#		The mock broker as a process of its own, for one test file.
#
#   use Deltaflow::Mock;
#
#   my $mock = Deltaflow::Mock->start(brokers => 1, topics => { 'toll.entry' => 3 });
#   $mock->address                                        # host:port,...
#   $mock->command('down 0');                             # tools/mock_kafka/mock_kafka.c lists the commands
#   $mock->produce('toll.entry', '{"booth": 1}', ...);    # values, keyless, anywhere
#   $mock->produce_to('toll.entry', 2, 'key', '{"a":1}'); # partition (-1: any), key, value; undef is null
#   $mock->produce_lines('toll.entry', @lines);           # "partition<TAB>key<TAB>value[<TAB>header=value...]"
#
# It ends with the test.
#
package Deltaflow::Mock;

use strict;
use warnings;

use parent -norequire, 'Deltaflow::Broker';

use Carp;
use Cwd qw(abs_path);
use Deltaflow::Broker;
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use Time::HiRes qw(time usleep);

sub start
{
	my ($class, %options) = @_;
	my $dir = tempdir('dfmXXXXXX', TMPDIR => 1, CLEANUP => 1);
	my $program = Deltaflow::Broker::tool('mock_kafka');
	my $topics = $options{topics} // {};
	my @command = ($program, '--brokers', $options{brokers} // 1, '--port-file', "$dir/address", '--control', "$dir/control");

	push @command, '--topic', "$_:$topics->{$_}" for sort keys %$topics;
	my $pid = fork() // croak "fork failed: $!";
	if ($pid == 0)
	{
		open(STDOUT, '>', "$dir/log");
		open(STDERR, '>&', \*STDOUT);
		exec(@command) or POSIX::_exit(127);
	}
	my $self = bless { pid => $pid, dir => $dir, owner => $$ }, $class;
	my $deadline = time + 30;

	until (-s "$dir/address")
	{
		croak "mock_kafka did not start: " . Deltaflow::Broker::slurp("$dir/log") if time > $deadline;
		usleep(20_000);
	}
	$self->{address} = Deltaflow::Broker::slurp("$dir/address");
	$self->{address} =~ s/\s+$//;
	return $self;
}

# One command; croaks unless it was answered with ok.
sub command
{
	my ($self, $command) = @_;

	$self->{control} //= IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => "$self->{dir}/control")
	  or croak "could not reach mock_kafka: $!";
	my $control = $self->{control};
	print $control "$command\n";
	$control->flush;
	my $answer = <$control> // '';
	croak "mock_kafka: \"$command\": $answer" if $answer !~ /^ok/;
	return $answer;
}

sub stop
{
	my ($self) = @_;

	return if !$self->{pid} || $self->{owner} != $$;
	kill 'TERM', $self->{pid};
	waitpid($self->{pid}, 0);
	$self->{pid} = undef;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);

	$self->stop;
}

1;
