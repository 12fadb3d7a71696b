# The mock broker and the tools that tests lean on: what is produced can be read,
# errors are injected and end, brokers go down and come up.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;

my $mock = Deltaflow::Mock->start(brokers => 2, topics => { orders => 3 });

like($mock->address, qr/^[\w.]+:\d+/, 'the mock tells its address');
is($mock->produce('orders', map { qq({"id": $_}) } 1 .. 10), 10, 'records without keys are acknowledged');
is($mock->produce_to('orders', 2, 'k', undef), 1, 'a tombstone is acknowledged');

my %ends = $mock->ends('orders');

is_deeply([ sort keys %ends ], [ 0, 1, 2 ], 'the topic has its partitions');
is(eval { my $n = 0; $n += $_->[1] for values %ends; $n }, 11, 'the ends add up');

$mock->command('down 0');
ok(!eval { $mock->produce_lines('orders', { 'message.timeout.ms' => 1000 }, "0\tk\tlost"); 1 }, 'nothing is acknowledged while the brokers are down');
$mock->command('up 0');
is($mock->produce_to('orders', 0, 'k', 'v'), 1, 'and again when they are up');
ok(!eval { $mock->command('levitate'); 1 }, 'an unrecognized command is refused');

done_testing();
