# The tools that tests of the real broker lean on: transactions, trimming, growing,
# recreating a topic, and a restart that keeps records.
use strict;
use warnings;

use Deltaflow::Kafka;
use Deltaflow::Util;
use Test::More;

my $kafka = Deltaflow::Kafka->get;
my $topic = $kafka->create_topic('tools', 2);

$kafka->produce_lines($topic, { 'transactional.id' => "$topic-tx" },
	'\begin', "0\ta\taborted", '\abort', '\begin', "0\tb\tkept", '\commit');
my %ends = $kafka->ends($topic);
is_deeply($ends{0}, [ 0, 4 ], 'two records and two markers');

$kafka->trim($topic, 0, 2);
%ends = $kafka->ends($topic);
is($ends{0}[0], 2, 'a trimmed partition begins later');

$kafka->grow_topic($topic, 3);
ok(wait_for(sub { %ends = eval { $kafka->ends($topic) }; keys %ends == 3 }, 'the new partition'), 'a topic grows');

$kafka->recreate_topic($topic, 1);
ok(wait_for(sub { %ends = eval { $kafka->ends($topic) }; keys %ends == 1 }, 'the new topic'), 'a topic is made anew');
is($kafka->produce($topic, 'x'), 1, 'and takes records');

SKIP:
{
	skip 'this Kafka belongs to somebody else', 1 if !$kafka->can_restart;
	$kafka->restart;
	%ends = $kafka->ends($topic);
	is_deeply($ends{0}, [ 0, 1 ], 'a restarted broker keeps its records');
}

done_testing();
