#
# Ddl.pm
#		Harmless DDL while the stream runs: what changes neither what is stored nor what a view means.
#
#   my @names = ddl_names('table');                   # or topic, view: what can happen to one
#   my ($do, $undo) = ddl_sql('index', 'table', o => 'source', s => 'd1', n => 7);    # statements; undo is '' where it stays
#
# %o is the relation, %s its schema, %n a number that is new each time, %k what ALTER calls it.
#
package Differential::Ddl;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(ddl_names ddl_sql);

my %relation = (
	rename => [ 'ALTER %k %o RENAME TO %o_renamed', 'ALTER %k %o_renamed RENAME TO %o' ],
	schema => [ 'CREATE SCHEMA %s_other; ALTER %k %o SET SCHEMA %s_other', 'ALTER %k %s_other.%o SET SCHEMA %s; DROP SCHEMA %s_other' ],
	owner => [ 'ALTER %k %o OWNER TO differential_other', 'ALTER %k %o OWNER TO current_user' ],
	comment => [ q(COMMENT ON %k %o IS 'comment %n'), '' ]);

my %ddl = (
	table => {
		%relation,
		add_column => [ 'ALTER TABLE %o ADD COLUMN extra_%n int DEFAULT %n', '' ],
		add_and_drop => [ 'ALTER TABLE %o ADD COLUMN extra_%n float8 NOT NULL DEFAULT random()', 'ALTER TABLE %o DROP COLUMN extra_%n' ],
		index => [ 'CREATE INDEX extra_%n ON %o (part, off)', 'DROP INDEX extra_%n' ],
		unique => [ 'CREATE UNIQUE INDEX extra_%n ON %o (off, part, at)', 'DROP INDEX extra_%n' ],
		trigger => [ 'CREATE TRIGGER extra_%n BEFORE INSERT ON %o FOR EACH ROW EXECUTE FUNCTION differential.as_it_is()', 'DROP TRIGGER extra_%n ON %o' ],
		check => [ 'ALTER TABLE %o ADD CONSTRAINT extra_%n CHECK (off >= 0)', 'ALTER TABLE %o DROP CONSTRAINT extra_%n' ],
		vacuum => [ 'VACUUM (FREEZE, ANALYZE) %o', '' ],
		vacuum_full => [ 'VACUUM (FULL) %o', '' ],
		analyze => [ 'ANALYZE %o', '' ] },
	topic => {
		%relation,
		add_column => [ 'ALTER FOREIGN TABLE %o ADD COLUMN extra_%n text', '' ],
		option => [ q(ALTER FOREIGN TABLE %o OPTIONS (ADD dead_letter_limit '9999 of 20000')), 'ALTER FOREIGN TABLE %o OPTIONS (DROP dead_letter_limit)' ] },
	view => {
		%relation,
		rename_batch => [ 'ALTER VIEW %o_batch RENAME TO %o_renamed', 'ALTER VIEW %o_renamed RENAME TO %o_batch' ],
		vacuum => [ 'VACUUM (FREEZE, ANALYZE) %o_state', '' ],
		vacuum_full => [ 'VACUUM (FULL) %o_state', '' ],
		reindex => [ 'REINDEX TABLE %o_state', '' ],
		fillfactor => [ 'ALTER TABLE %o_state SET (fillfactor = 100)', 'ALTER TABLE %o_state RESET (fillfactor)' ],
		grant => [ 'GRANT SELECT ON %o TO PUBLIC', 'REVOKE SELECT ON %o FROM PUBLIC' ] });

my %kinds = (table => 'TABLE', topic => 'FOREIGN TABLE', view => 'VIEW');

sub ddl_names
{
	my ($on) = @_;

	return sort keys %{ $ddl{$on} };
}

sub ddl_sql
{
	my ($what, $on, %names) = @_;

	$names{k} = $kinds{$on};
	return map { s/%([kosn])/$names{$1}/gr } @{ $ddl{$on}{$what} };
}

1;
