/** The statements that put a tenant's rows in the place of those that are there, all in one transaction. */
import { pgName, pgTable, pgText } from '../names.ts';
import { copyStatement } from './capture.ts';
import { COUNT_BEFORE, checkStatements } from './check-sql.ts';
import { MARK } from './copy-text.ts';
import { tablesExpression } from './look.ts';
import { doBlock, raiseIf } from './plpgsql.ts';
import { inOrder, ownRows, type Relation } from './relations.ts';
import { SESSION_SETTINGS } from './session-settings.ts';
import { freshColumns, NUMBER, renewed, rowValues, staged } from './values.ts';

export interface Change {
  relations: readonly Relation[];
  tenant: string;
  /** Of `tablesExpression` of these tables, as they were looked at. */
  schemaMd5: string;
  /** Names of the columns of the rows to come, table by table. */
  columns: ReadonlyMap<Relation, readonly string[]>;
  /** Whether keys get new values, and references follow. */
  renew: boolean;
}

/** With which the first line of the output begins; the number of the transaction follows. */
export const TRANSACTION = '-- transaction ';

/** Up to where rows come in. With `keep` the rows that are there are printed, as statements that bring them in again. */
export function beginStatements({ relations, tenant, schemaMd5, columns }: Change, keep: boolean): string {
  const tables = relations.map(({ look }) => look);
  return [
    SESSION_SETTINGS,
    "SET work_mem = '64MB';\nSET default_transaction_read_only = off;\n",
    // Whatever the server's default is: each statement must see what was committed before the tables were locked.
    'BEGIN ISOLATION LEVEL READ COMMITTED;\n',
    `SELECT ${pgText(TRANSACTION)} || pg_current_xact_id();\n`,
    COUNT_BEFORE,
    `LOCK TABLE ${tables.map(pgTable).join(', ')} IN SHARE ROW EXCLUSIVE MODE;\n`,
    'SET LOCAL search_path = pg_catalog;\n',
    doBlock(
      raiseIf(
        `md5(${tablesExpression(tables)}::text) <> ${pgText(schemaMd5)}`,
        'The tables were altered since the restore began.',
      ),
    ),
    'SET LOCAL search_path TO DEFAULT;\n',
    ...(keep ? relations.map((one) => keepStatements(one, tenant)) : []),
    ...relations.map((one) => stageStatements(one, columns.get(one) ?? [])),
  ].join('');
}

/** What stands before and after a table's rows, so that psql brings them in. */
export function intoStage(relation: Relation, columns: readonly string[]): { before: string; after: string } {
  return {
    before: `COPY ${staged(relation)} (${columns.map(pgName).join(', ')}) FROM STDIN;\n`,
    after: `${MARK}\n`,
  };
}

function keepStatements(relation: Relation, tenant: string): string {
  const { before } = intoStage(relation, namesOf(relation));
  return `SELECT ${pgText(before.trimEnd())};\n${copyStatement(relation, tenant)}SELECT chr(92) || '.';\n`;
}

export function namesOf({ columns }: Relation): string[] {
  return columns.map(({ name }) => name);
}

function stageStatements(relation: Relation, columns: readonly string[]): string {
  const name = staged(relation).replace(/^pg_temp\./, '');
  return `CREATE TEMPORARY TABLE ${name} ON COMMIT DROP AS SELECT ${columns.map(pgName).join(', ')} FROM ${pgTable(relation.look)} WITH NO DATA;
ALTER TABLE pg_temp.${name} ADD COLUMN ${NUMBER} bigint GENERATED ALWAYS AS IDENTITY;\n`;
}

/** From where the rows have come in to the commit. */
export function changeStatements(change: Change): string {
  const { relations, tenant, renew } = change;
  const { relations: order, later } = inOrder(relations);
  const columnsOf = (one: Relation): readonly string[] => change.columns.get(one) ?? [];
  const waiting = (one: Relation): string[] =>
    [...(later.get(one) ?? [])].filter((column) => columnsOf(one).includes(column));
  return [
    ...relations.map((one) => `ANALYZE ${staged(one)};\n`),
    ...(renew ? relations.map(renewStatements) : []),
    ...(renew ? relations.flatMap(danglingStatements) : []),
    'SET CONSTRAINTS ALL DEFERRED;\n',
    ...checkStatements.expect(relations, tenant),
    ...order.flatMap((one) =>
      [...(later.get(one) ?? [])].map((column) => openStatement(one, column, tenant)),
    ),
    ...order
      .toReversed()
      .map((one) => `DELETE FROM ${pgTable(one.look)} AS t WHERE ${ownRows(one, tenant, 't')};\n`),
    ...order.map((one) => insertStatement(one, columnsOf(one), waiting(one), change)),
    ...order.map((one) => closeStatement(one, waiting(one), change)),
    'SET CONSTRAINTS ALL IMMEDIATE;\n',
    ...checkStatements.compare(relations, tenant),
    ...relations.flatMap(sequenceStatements),
    // What was printed is on its disk before the commit is: dd has the file as its stdout, and writes nothing. psql
    // takes no notice of its failure, so it is ended before it commits.
    '\\! dd if=/dev/null conv=fsync status=none || kill -9 $PPID\n',
    'COMMIT;\n',
  ].join('');
}

function renewStatements(relation: Relation): string {
  const fresh = freshColumns(relation);
  if (fresh.length === 0) return '';
  const name = renewed(relation).replace(/^pg_temp\./, '');
  const olds = fresh.map(({ at, column }) => `s.${pgName(column.name)} AS old_${at}`);
  const news = fresh.map(({ at, column, value }) => `CAST(${value} AS ${column.type}) AS new_${at}`);
  return `CREATE TEMPORARY TABLE ${name} ON COMMIT DROP AS SELECT s.${NUMBER}, ${[...olds, ...news].join(', ')} FROM ${staged(relation)} AS s;
ANALYZE pg_temp.${name};\n`;
}

/** A reference leads to a row that comes, too, or to one that all share: else it would lead into another tenant's rows. */
function danglingStatements(relation: Relation): string[] {
  return relation.references.flatMap(({ column, to, schema, table, target, enforced }) => {
    if (!to && enforced) return [];
    const there = to ? `${staged(to)} AS o` : `${pgTable({ schema, name: table })} AS o`;
    const missing = `EXISTS (SELECT FROM ${staged(relation)} AS s WHERE s.${pgName(column)} IS NOT NULL
      AND NOT EXISTS (SELECT FROM ${there} WHERE o.${pgName(target)} = s.${pgName(column)}))`;
    const where = to ? 'in the backup' : 'in the database';
    return [
      doBlock(
        raiseIf(
          missing,
          `${relation.table.name}.${column} refers to a row of ${table} that is not ${where}.`,
        ),
      ),
    ];
  });
}

/** A circle is opened before its rows can go. */
function openStatement(relation: Relation, column: string, tenant: string): string {
  const name = pgName(column);
  return `UPDATE ${pgTable(relation.look)} AS t SET ${name} = NULL WHERE ${ownRows(relation, tenant, 't')} AND t.${name} IS NOT NULL;\n`;
}

function insertStatement(
  relation: Relation,
  columns: readonly string[],
  waiting: readonly string[],
  { tenant, renew }: Change,
): string {
  const written = columns.filter((column) => !waiting.includes(column));
  const { of, from } = rowValues(relation, tenant, renew);
  return `INSERT INTO ${pgTable(relation.look)} (${written.map(pgName).join(', ')}) OVERRIDING SYSTEM VALUE
SELECT ${written.map(of).join(', ')} FROM ${from};\n`;
}

/** The columns that close a circle, once all rows are there. */
function closeStatement(relation: Relation, waiting: readonly string[], { tenant, renew }: Change): string {
  if (waiting.length === 0) return '';
  const { of, from } = rowValues(relation, tenant, renew);
  const keys = relation.key.map((column, at) => ({ column, alias: `k${at}` }));
  const values = waiting.map((column, at) => ({ column, alias: `v${at}` }));
  const picked = [...keys, ...values].map(({ column, alias }) => `${of(column)} AS ${alias}`).join(', ');
  const sets = values.map(({ column, alias }) => `${pgName(column)} = q.${alias}`).join(', ');
  const same = keys.map(({ column, alias }) => `t.${pgName(column)} = q.${alias}`).join(' AND ');
  const some = values.map(({ alias }) => `q.${alias} IS NOT NULL`).join(' OR ');
  return `UPDATE ${pgTable(relation.look)} AS t SET ${sets} FROM (SELECT ${picked} FROM ${from}) AS q WHERE ${same} AND (${some});\n`;
}

/** Nobody is given a key again that has come back. */
function sequenceStatements(relation: Relation): string[] {
  return relation.columns.flatMap((column) => {
    const { name } = column;
    const sequence = column.sequence ?? sequenceIn(column.default);
    if (sequence === null) return [];
    const text = pgText(sequence);
    return [
      doBlock(`DECLARE highest bigint := (SELECT max(s.${pgName(name)}) FROM ${pgTable(relation.look)} AS s);
BEGIN
  IF highest > coalesce(pg_sequence_last_value(${text}::regclass), 0) THEN PERFORM setval(${text}::regclass, highest); END IF;
END;`),
    ];
  });
}

/** Of a default that counts a sequence which no column owns; as the server writes it, text as in `pgText`. */
function sequenceIn(given: string | null): string | null {
  const [, text] = /^nextval\('((?:[^'\\]|'')+)'::regclass\)$/.exec(given ?? '') ?? [];
  return text?.replaceAll("''", "'") ?? null;
}
