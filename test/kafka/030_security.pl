# A broker that wants to know who comes: TLS with a certificate authority of our own,
# SASL, wrong passwords, and a broker that advertises an address nobody can reach.
use strict;
use warnings;

use Deltaflow::Kafka;
use Deltaflow::Util;
use File::Temp qw(tempdir);
use PostgreSQL::Test::Utils;
use Test::More;

# DELTAFLOW_GUARDED_KAFKA is the directory of one that runs already (tools/kafka guard says what is in it).
my $top = $ENV{DELTAFLOW_TOP} // '.';
my $dir = $ENV{DELTAFLOW_GUARDED_KAFKA} || start_broker();
my %port = map { split ' ' } split /\n/, slurp_file("$dir/ports");

sub start_broker
{
	my $own = tempdir('dfkXXXXXX', TMPDIR => 1, CLEANUP => 1);

	plan(skip_all => 'no Apache Kafka of our own') if !Deltaflow::Kafka->get->can_restart;
	local $ENV{DELTAFLOW_KAFKA_HEAP} = '384m';
	system("'$top/tools/kafka' guard '$own' >/dev/null") == 0 or BAIL_OUT('the broker does not start');
	return $own;
}

END
{
	my $status = $?;

	system("'$top/tools/kafka' stop '$dir' >/dev/null 2>&1") if defined $dir && !$ENV{DELTAFLOW_GUARDED_KAFKA};
	$? = $status;
}

my $broker = bless { address => "127.0.0.1:$port{plain}" }, 'Deltaflow::Kafka';
my $topic = $broker->create_topic('guarded', 2);
my $produced = 0;
my $node = deltaflow_node('security', 'deltaflow.naptime = 1s');
my $ca = slurp_file("$dir/ca.pem");
my $other_ca = slurp_file("$dir/other.pem");

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

sub produce
{
	$broker->produce($topic, map { sprintf '{"id": %d}', ++$produced } 1 .. $_[0]);
}

# A server of a kind, with a topic and options of the user mapping.
sub server
{
	my ($name, $port, $options, $mapping) = @_;

	sql(qq{CREATE SERVER $name FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" '127.0.0.1:$port'$options)},
		"CREATE USER MAPPING FOR PUBLIC SERVER $name" . ($mapping ? " OPTIONS ($mapping)" : ""),
		qq{CREATE FOREIGN TABLE ${name}_topic (id int) SERVER $name OPTIONS (topic '$topic', format 'json')});
}

sub fails
{
	my ($query, $pattern, $what) = @_;
	my ($result, $out, $error) = $node->psql('postgres', "SET deltaflow.broker_timeout = '5s'; $query");

	isnt($result, 0, $what);
	like($error, $pattern, "$what: the reason");
	unlike($error, qr/secret-of-reader|wrong-secret/, "$what: without the password");
}

produce(100);

### each way in
my $protocol = sub { qq{, "security.protocol" '$_[0]'} };
my $login = q{"sasl.username" 'reader', "sasl.password" 'secret-of-reader'};

server('sasl', $port{sasl}, $protocol->('SASL_PLAINTEXT') . q{, "sasl.mechanism" 'PLAIN'}, $login);
server('tls', $port{tls}, $protocol->('SSL') . qq{, "ssl.ca.pem" '$ca'}, '');
server('sasl_tls', $port{sasl_tls}, $protocol->('SASL_SSL') . qq{, "sasl.mechanism" 'PLAIN', "ssl.ca.pem" '$ca'}, $login);
for my $name (qw(sasl tls sasl_tls))
{
	is(sql("SELECT count(*) FROM ${name}_topic"), $produced, "$name: read");
	sql("CREATE TABLE $name (LIKE ${name}_topic)", "SELECT deltaflow.create_ingest('${name}_topic', '$name')");
	wait_for_rows($node, "SELECT count(*), count(DISTINCT id) FROM $name", "$produced|$produced", "$name: ingested");
}
sql('INSERT INTO sasl_tls_topic VALUES (' . ++$produced . ')');
wait_for_rows($node, "SELECT count(*), count(DISTINCT id) FROM $_", "$produced|$produced", "$_: what another way produced") for qw(sasl tls sasl_tls);

### SCRAM, which librdkafka before 2.6.1 cannot do with Kafka 4: then the error says so
server('scram', $port{scram}, $protocol->('SASL_PLAINTEXT') . q{, "sasl.mechanism" 'SCRAM-SHA-512'}, $login);
my ($refused, $read, $reason) = $node->psql('postgres', 'SELECT count(*) FROM scram_topic');

if ($refused)
{
	like($reason, qr/Kafka 4 refuses right passwords, too, from librdkafka before 2\.6\.1, and this is 2\.[0-6]\.\d/, 'scram: the library is named as the cause');
}
else
{
	is($read, $produced, 'scram: read');
}
server('wrong_scram', $port{scram}, $protocol->('SASL_PLAINTEXT') . q{, "sasl.mechanism" 'SCRAM-SHA-512'}, q{"sasl.username" 'reader', "sasl.password" 'wrong-secret'});
fails('SELECT count(*) FROM wrong_scram_topic', qr/invalid credentials with SASL mechanism SCRAM-SHA-512/, 'a wrong password by SCRAM');

### secrets only in user mappings
fails(q{ALTER SERVER sasl OPTIONS (ADD "sasl.password" 'secret-of-reader')}, qr/user mapping/i, 'a password in a server');
is(sql(q{SELECT count(*) FROM pg_foreign_server WHERE srvoptions::text LIKE '%secret%'}), 0, 'nothing secret is in a server');

### wrong ones
server('wrong', $port{sasl}, $protocol->('SASL_PLAINTEXT') . q{, "sasl.mechanism" 'PLAIN'}, q{"sasl.username" 'reader', "sasl.password" 'wrong-secret'});
fails('SELECT count(*) FROM wrong_topic', qr/Authentication failed|authentication/i, 'a wrong password');
fails(q{CREATE TABLE wrong (id int); SELECT deltaflow.create_ingest('wrong_topic', 'wrong')}, qr/Check the credentials in the user mapping/, 'a wrong password at create_ingest');
server('stranger', $port{tls}, $protocol->('SSL') . qq{, "ssl.ca.pem" '$other_ca'}, '');
fails('SELECT count(*) FROM stranger_topic', qr/certificate verify failed|SSL handshake failed/i, 'a broker signed by somebody else');

### a password that changes while an ingest runs
sql(q{ALTER USER MAPPING FOR PUBLIC SERVER sasl OPTIONS (SET "sasl.password" 'wrong-secret')});
wait_for_rows($node, q{SELECT state, last_error ~* 'authentication' FROM deltaflow.status WHERE name = 'sasl'}, 'running|t', 'the status tells of a password that has become wrong');
like(sql(q{SELECT hint FROM deltaflow.status WHERE name = 'sasl'}), qr/user mapping/, 'and where to correct it');
produce(50);
sql(q{ALTER USER MAPPING FOR PUBLIC SERVER sasl OPTIONS (SET "sasl.password" 'secret-of-reader')});
wait_for_rows($node, "SELECT count(*), count(DISTINCT id) FROM sasl", "$produced|$produced", 'with the right one it goes on');
wait_for_rows($node, q{SELECT last_error IS NULL FROM deltaflow.status WHERE name = 'sasl'}, 't', 'and is well');

### a broker that advertises an address nobody can reach
server('lost', $port{lost}, '', '');
fails('SELECT count(*) FROM lost_topic', qr/lost\.invalid:$port{lost}.*127\.0\.0\.1:$port{lost} advertises the address lost\.invalid:$port{lost}/s, 'an advertised address that leads nowhere');

my $log = slurp_file($node->logfile);

$log =~ s/^.*?LOG:  statement:.*?(?=^\d{4}-)//gms;
unlike($log =~ s/^.*STATEMENT:.*$//gmr, qr/secret-of-reader|wrong-secret/, 'no password is in the log but in the statements that set it');
check_books($node, 'in the end');
$node->stop;
done_testing();
