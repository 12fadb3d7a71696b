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
my $mock = Deltaflow::Mock->start(topics => { pass => 2, toll => 1 });
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'deltaflow'\ndeltaflow.enabled = off");
$node->start;

my ($drawn, $errors) = run_command([
	'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'broker=' . $mock->address,
	'-d', $node->connstr('postgres'), '-f', "$top/docs/time.sql" ]);
is($errors, '', 'docs/time.sql runs');

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
ok(index(squeeze($drawn), squeeze($figures[$_])) >= 0, 'figure ' . ($_ + 1)) for 0 .. $#figures;

$node->stop;
done_testing();
