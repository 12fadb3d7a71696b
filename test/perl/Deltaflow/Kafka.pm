#
# Kafka.pm
#		The real Apache Kafka that the test runner provides.
#
#   use Deltaflow::Kafka;
#
#   my $kafka = Deltaflow::Kafka->get;                    # skips the whole file when there is none
#   my $topic = $kafka->create_topic('orders', 4, 'cleanup.policy=compact');   # a name of its own: orders_<unique>
#   $kafka->produce($topic, '{"id": 1}');                 # as Mock.pm
#   $kafka->produce_lines($topic, { 'transactional.id' => 'x' }, '\begin', "0\tk\tv", '\abort');
#   $kafka->delete_topic($topic); $kafka->grow_topic($topic, 6); $kafka->trim($topic, 0, 100); $kafka->configure_topic(...)
#   $kafka->restart; $kafka->kill; $kafka->start;         # only where can_restart is true
#
# DELTAFLOW_KAFKA names the broker, DELTAFLOW_KAFKA_DIR where tools/kafka runs it;
# a broker without the latter belongs to somebody else and is not restarted.
#
package Deltaflow::Kafka;

use strict;
use warnings;

use parent -norequire, 'Deltaflow::Broker';

use Carp;
use Deltaflow::Broker;
use Test::More ();
use Time::HiRes qw(time);

sub get
{
	my ($class) = @_;
	my $address = $ENV{DELTAFLOW_KAFKA};

	Test::More::plan(skip_all => 'no Apache Kafka: run by tools/run_tests, or set DELTAFLOW_KAFKA') if !$address;
	return bless { address => $address, dir => $ENV{DELTAFLOW_KAFKA_DIR} }, $class;
}

# A new topic; settings as name=value.  Returns its name, unique to this run.
sub create_topic
{
	my ($self, $name, $partitions, @settings) = @_;
	my $topic = sprintf '%s_%x_%d_%d', $name, int(time), $$, ++$self->{topics};

	$self->control([ 'create', $topic, $partitions, @settings ]);
	return $topic;
}

# The same name again, after delete_topic.  A deletion takes a moment.
sub recreate_topic
{
	my ($self, $topic, $partitions, @settings) = @_;
	my $deadline = time + 30;

	$self->delete_topic($topic);
	while (!eval { $self->control([ 'create', $topic, $partitions, @settings ]); 1 })
	{
		croak $@ if time > $deadline;
		Time::HiRes::usleep(100_000);
	}
}

sub delete_topic
{
	my ($self, $topic) = @_;

	$self->control([ 'delete', $topic ]);
}

sub grow_topic
{
	my ($self, $topic, $partitions) = @_;

	$self->control([ 'grow', $topic, $partitions ]);
}

# Records of the partition before the offset are gone, as when retention passed them.
sub trim
{
	my ($self, $topic, $partition, $offset) = @_;

	$self->control([ 'trim', $topic, $partition, $offset ]);
}

sub configure_topic
{
	my ($self, $topic, @settings) = @_;

	$self->control([ 'config', $topic, @settings ]);
}

sub can_restart
{
	my ($self) = @_;

	return defined $self->{dir} && $self->{dir} ne '';
}

sub _tool
{
	my ($self, $command) = @_;

	croak 'this Kafka belongs to somebody else' if !$self->can_restart;
	my $top = $ENV{DELTAFLOW_TOP} // '.';
	system("'$top/tools/kafka' $command '$self->{dir}' >/dev/null 2>&1") == 0 or croak "tools/kafka $command failed";
}

sub stop { $_[0]->_tool('stop') }
sub kill { $_[0]->_tool('kill') }
sub start { $_[0]->_tool('start') }

sub restart
{
	my ($self) = @_;

	$self->stop;
	$self->start;
}

1;
