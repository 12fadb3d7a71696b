# The figures of docs/time.md are what docs/time.sql draws, line by line.
use strict;
use warnings;

use Deltaflow::Broker;
use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = $ENV{DELTAFLOW_TOP} // '.';
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'deltaflow'\ndeltaflow.enabled = off");
$node->start;

# What docs/time.sql draws, with a broker and in a database of its own.
sub draw
{
	my ($database) = @_;
	my $mock = Deltaflow::Mock->start(topics => { pass => 2, toll => 1 });

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	return run_command([
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'broker=' . $mock->address,
		'-d', $node->connstr($database), '-f', "$top/docs/time.sql" ]);
}

# Lines without what only pads them.
sub squeeze
{
	my ($text) = @_;
	my @lines = map { s/\s+$//r } split /\n/, $text;

	return join("\n", grep { $_ ne '' && !/^\(\d+ rows?\)$/ } @lines) . "\n";
}

# Fenced blocks without a language, but for what the demo drew.
my $page = Deltaflow::Broker::slurp("$top/docs/time.md");
my @figures;
while ($page =~ /^```(\w*)\n(.*?)^```$/gms)
{
	push @figures, $2 if $1 eq '' && $2 !~ /demo=#/;
}
is(scalar(@figures), 7, 'all figures are found');

# Records of two partitions arrive each at its own time, and an epoch takes what is there:
# where one has come alone, the figures of epochs have a line more and are drawn again.
my ($all, @missing);
for my $attempt (1 .. 5)
{
	my ($drawn, $errors) = draw("page_$attempt");

	is($errors, '', 'docs/time.sql runs');
	$all = squeeze($drawn);
	@missing = grep { index($all, squeeze($figures[$_])) < 0 } 0 .. $#figures;
	last if !@missing || grep { $figures[$_] !~ /epoch/ } @missing;
}
is(join(', ', map { $_ + 1 } @missing), '', 'all are what is drawn') or diag($all);

$node->stop;
done_testing();
