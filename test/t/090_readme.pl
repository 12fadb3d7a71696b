# What the README says works as it stands there: its SQL is taken from the file and run.
use strict;
use warnings;

use Deltaflow::Broker;
use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = $ENV{DELTAFLOW_TOP} // '.';
my @blocks = Deltaflow::Broker::slurp("$top/README.md") =~ /```sql\n(.*?)```/gs;
my $mock = Deltaflow::Mock->start(topics => { 'toll.entry' => 2 });
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'deltaflow'\nmax_worker_processes = 16");
$node->start;

# The first block, with the mock's address in the place of localhost:9092, up to the first question.
my ($make) = $blocks[0] =~ /^(.*?)SELECT \* FROM booth_stats;/s;
my $address = $mock->address;

$make =~ s/localhost:9092/$address/;
$node->safe_psql('postgres', $make);
pass('the SQL of the first screen runs');

$mock->produce('toll.entry',
	map { sprintf '{"booth": %d, "license_plate": "A-%d", "toll": 2.50, "entry_time": "2024-05-01T10:%02d:00Z"}', $_ % 2, $_, $_ } 0 .. 19);
is($node->safe_psql('postgres', q{SELECT deltaflow.wait('booth_stats')}), 't', 'the view catches up');
is($node->safe_psql('postgres', q{SET TimeZone = 'UTC'; SELECT booth, window_start::time, vehicles, tolls FROM booth_stats ORDER BY 2, 1}),
	"0|10:00:00|5|12.50\n1|10:00:00|5|12.50\n0|10:10:00|5|12.50\n1|10:10:00|5|12.50", 'and is right');
check_same($node, 'booth_stats');

# The questions further down.
my ($ask) = grep { /deltaflow\.status/ } @blocks;

$node->safe_psql('postgres', $ask);
pass('the questions of "What is happening" can be asked');

# Servers and mappings of "Your own broker" are accepted as written.
my ($own) = grep { /CREATE SERVER prod/ } @blocks;

$node->safe_psql('postgres', "CREATE ROLE app; $own");
pass('the options of "Your own broker" are accepted');

# Every setting of the table exists and has the default given there.
my %units = (B => 1, kB => 1024, MB => 1024**2, ms => 1, s => 1000, min => 60_000, days => 86_400_000);
for my $line (grep { /^\| `deltaflow\./ } split /\n/, Deltaflow::Broker::slurp("$top/README.md"))
{
	my (undef, $names, $default) = split /\s*\|\s*/, $line;

	for my $name ($names =~ /`([\w.]+)`/g)
	{
		my $shown = $node->safe_psql('postgres', "LOAD 'deltaflow'; SELECT current_setting('$name')");
		my $same = $node->safe_psql('postgres', "LOAD 'deltaflow'; SELECT CASE WHEN vartype = 'integer' THEN (SELECT boot_val FROM pg_settings WHERE name = '$name') = (SELECT setting FROM pg_settings WHERE name = '$name') ELSE true END FROM pg_settings WHERE name = '$name'");

		is($same, 't', "$name exists");
		my ($number, $unit) = $default =~ /^(\d+)\s*(\w*)$/;
		next if !defined $number;
		my ($got, $got_unit) = $shown =~ /^(\d+)\s*(\w*)$/;
		$unit =~ s/^days?$/days/;
		$got_unit =~ s/^d$/days/;
		is($got * ($units{$got_unit} // 1), $number * ($units{$unit} // 1), "$name is $default as the README says");
	}
}

$node->stop;
done_testing();
