#
# Shrink.pm
#		Makes a failing case small: fewer views, steps, parts of the definition and records.
#
#   my ($small, $failure) = shrink($server, $case, $failure, sub { play($_[0]) });
#
# A smaller case is taken when it fails in the same way (the same kind).  It gives up
# after a minute; what is left by then is small enough in practice.
#
package Differential::Shrink;

use strict;
use warnings;

use Exporter 'import';

use JSON::PP;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(shrink case_text read_case);

my $PATIENCE = 90;
my $json = JSON::PP->new->canonical->allow_nonref;

sub copy_of { return $json->decode($json->encode($_[0])) }

sub shrink
{
	my ($server, $case, $failure, $play) = @_;
	my $self = { case => $case, failure => $failure, play => $play, deadline => time + $PATIENCE };

	keep_only_view($self) if defined $failure->{view};
	while (time < $self->{deadline})
	{
		my $before = length $json->encode($self->{case});

		shrink_list($self, sub { $_[0]{steps} });
		shrink_records($self);
		shrink_views($self);
		last if length $json->encode($self->{case}) == $before;
	}
	return ($self->{case}, $self->{failure});
}

# Takes a changed copy if it still fails alike.
sub attempt
{
	my ($self, $change) = @_;
	my $copy = copy_of($self->{case});

	return 0 if time > $self->{deadline};
	$change->($copy);
	my $verdict = $self->{play}->($copy);

	return 0 if !$verdict->{failure} || $verdict->{failure}{kind} ne $self->{failure}{kind};
	$self->{case} = $copy;
	$self->{failure} = $verdict->{failure};
	return 1;
}

sub keep_only_view
{
	my ($self) = @_;
	my $name = $self->{failure}{view};

	attempt($self, sub {
			my ($case) = @_;

			$case->{views} = [ grep { $_->{name} eq $name } @{ $case->{views} } ];
			$case->{steps} = [ grep { $_->{do} ne 'view' || $_->{view} eq $name } @{ $case->{steps} } ];
	});
}

# Drops elements of a list, halves first.
sub shrink_list
{
	my ($self, $list_of) = @_;
	my $size = int(@{ $list_of->($self->{case}) } / 2);

	while ($size >= 1)
	{
		my $at = 0;

		while ($at < @{ $list_of->($self->{case}) } && time < $self->{deadline})
		{
			$at += $size if !attempt($self, sub { splice @{ $list_of->($_[0]) }, $at, $size });
		}
		$size = int($size / 2);
	}
}

sub shrink_records
{
	my ($self) = @_;

	for my $i (0 .. $#{ $self->{case}{steps} })
	{
		shrink_list($self, sub { $_[0]{steps}[$i]{records} }) if $self->{case}{steps}[$i]{records};
	}
}

# Parts of definitions that the failure does not need, then columns.
sub shrink_views
{
	my ($self) = @_;

	for my $i (0 .. $#{ $self->{case}{views} })
	{
		for my $part (qw(keys aggregates where))
		{
			shrink_list($self, sub { $_[0]{views}[$i]{$part} }) if @{ $self->{case}{views}[$i]{$part} };
		}
		for my $part (qw(having options emit lateness window from))
		{
			next if !defined $self->{case}{views}[$i]{$part};
			attempt($self, sub { delete $_[0]{views}[$i]{$part} });
		}
	}
	for my $part (qw(table filter on_future max_future idle_timeout clock))
	{
		attempt($self, sub { delete $_[0]{$part} }) if defined $self->{case}{$part};
	}
	for my $i (reverse 2 .. $#{ $self->{case}{columns} })
	{
		attempt($self, sub { splice @{ $_[0]{columns} }, $i, 1 });
	}
}

# ---------------------------------------------------------------------------
# files

# One line per record and step, so that a kept case can be read and reviewed.
sub case_text
{
	my ($case) = @_;
	my @parts;

	for my $name (sort keys %$case)
	{
		next if $name eq 'steps';
		my $value = $case->{$name};

		push @parts, qq("$name": ) . (ref $value eq 'ARRAY' ? "[\n    " . join(",\n    ", map { $json->encode($_) } @$value) . ']' : $json->encode($value));
	}
	my @steps = map { step_text($_) } @{ $case->{steps} };
	push @parts, qq("steps": [\n    ) . join(",\n    ", @steps) . ']';
	return "{\n  " . join(",\n  ", @parts) . "\n}\n";
}

sub step_text
{
	my ($step) = @_;

	return $json->encode($step) if !$step->{records};
	return '{"do": "produce", "records": [' . "\n        " . join(",\n        ", map { $json->encode($_) } @{ $step->{records} }) . ']}';
}

sub read_case
{
	my ($file) = @_;

	open(my $fh, '<:utf8', $file) or die "$file: $!\n";
	local $/;
	my $text = <$fh>;
	return $json->decode($text);
}

1;
