#
# Broker.pm
#		What the mock and the real broker have in common: an address, and producing.
#
# Not used by itself: see Mock.pm and Kafka.pm.
#
package Deltaflow::Broker;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run qw(run timeout);

# The built program of tools/NAME.
sub tool
{
	my ($name) = @_;
	my $top = $ENV{DELTAFLOW_TOP} // abs_path(dirname(abs_path(__FILE__)) . '/../../..');
	my $program = "$top/tools/$name/$name";

	croak "$program is not built: run make tools" if !-x $program;
	return $program;
}

sub slurp
{
	my ($file) = @_;

	open(my $fh, '<', $file) or return '';
	local $/;
	my $text = <$fh>;
	return $text // '';
}

sub address
{
	my ($self) = @_;

	return $self->{address};
}

# Runs kafkactl with the arguments and an optional input; returns what it printed.
sub control
{
	my ($self, $arguments, $input) = @_;
	my ($out, $error) = ('', '');
	my @command = (tool('kafkactl'), $self->address, @$arguments);

	run(\@command, '<', \($input // ''), '>', \$out, '2>', \$error, timeout(120))
	  or croak "kafkactl @$arguments: $error";
	return $out;
}

# Values without keys, spread over the partitions.
sub produce
{
	my ($self, $topic, @values) = @_;

	return $self->produce_lines($topic, map { "-1\t\\N\t$_" } @values);
}

# One record to a partition (-1: by key, or any).
sub produce_to
{
	my ($self, $topic, $partition, $key, $value, %headers) = @_;
	my @fields = ($partition, $key // '\N', $value // '\N', map { "$_=$headers{$_}" } sort keys %headers);

	return $self->produce_lines($topic, join("\t", @fields));
}

# Lines as kafkactl takes them: records, and \begin, \commit, \abort, \flush.
# Options of the client may come first as a hash.  Returns the number acknowledged.
sub produce_lines
{
	my ($self, $topic, @lines) = @_;
	my $options = ref $lines[0] eq 'HASH' ? shift @lines : {};
	my $out = $self->control([ 'produce', $topic, map { "$_=$options->{$_}" } sort keys %$options ], join('', map { "$_\n" } @lines));

	return 0 + $out;
}

# [low, high] by partition.
sub ends
{
	my ($self, $topic) = @_;

	return map { my ($partition, $low, $high) = split; $partition => [ $low, $high ] } split /\n/, $self->control([ 'ends', $topic ]);
}

1;
