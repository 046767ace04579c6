/** The statements that put a tenant's rows in the place of those that are there, all in one transaction. */
import { pgName, pgTable, pgText } from '../names.ts';
import { copyStatement } from './capture.ts';
import { COUNT_BEFORE, checkStatements } from './check-sql.ts';
import { MARK } from './copy-text.ts';
import { tablesExpression } from './look.ts';
import { doBlock, raiseIf } from './plpgsql.ts';
import { inOrder, ownRows, type Relation } from './relations.ts';
import { SESSION_SETTINGS } from './session-settings.ts';
import { freshColumns, renewed, rowValues, staged } from './values.ts';

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
export function beginStatements(change: Change, keep: boolean): string {
  const { relations, tenant, schemaMd5 } = change;
  const tables = relations.map(({ look }) => look);
  return [
    SESSION_SETTINGS,
    "SET work_mem = '64MB';\nSET temp_buffers = '32MB';\nSET jit = off;\nSET default_transaction_read_only = off;\n",
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
    ...relations.map((one) => stageStatements(one, change)),
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

/** New values are made as the rows come in, by defaults of their own. */
function stageStatements(relation: Relation, { columns, renew }: Change): string {
  const table = staged(relation);
  const names = (columns.get(relation) ?? []).map(pgName).join(', ');
  const news = (renew ? freshColumns(relation) : []).map(
    ({ at, column, value }) =>
      `ALTER TABLE ${table} ADD COLUMN ${renewed(at)} ${column.type} DEFAULT CAST(${value} AS ${column.type});\n`,
  );
  return [
    `CREATE TEMPORARY TABLE ${table.replace(/^pg_temp\./, '')} ON COMMIT DROP AS SELECT ${names} FROM ${pgTable(relation.look)} WITH NO DATA;\n`,
    ...news,
  ].join('');
}

/** From where the rows have come in to the commit. */
export function changeStatements(change: Change): string {
  const { relations, tenant, renew } = change;
  const { relations: order, later } = inOrder(relations);
  const columnsOf = (one: Relation): readonly string[] => change.columns.get(one) ?? [];
  const waiting = (one: Relation): string[] =>
    [...(later.get(one) ?? [])].filter((column) => columnsOf(one).includes(column));
  return [
    ...relations.map((one) => analyzeStatement(one, relations, columnsOf(one))),
    ...(renew ? relations.flatMap(danglingStatements) : []),
    'SET CONSTRAINTS ALL DEFERRED;\n',
    ...checkStatements.expect(relations, tenant),
    ...order.flatMap((one) =>
      [...(later.get(one) ?? [])].map((column) => openStatement(one, column, tenant)),
    ),
    ...order
      .toReversed()
      .map((one) => `DELETE FROM ${pgTable(one.look)} AS t WHERE ${ownRows(one, tenant, 't')};\n`),
    ...byIndex(order.map((one) => insertStatement(one, columnsOf(one), waiting(one), change))),
    ...order.map((one) => closeStatement(one, waiting(one), change)),
    ...byIndex(['SET CONSTRAINTS ALL IMMEDIATE;\n']),
    ...checkStatements.compare(relations, tenant),
    ...relations.flatMap(sequenceStatements),
    // What was printed is on its disk before the commit is: dd has the file as its stdout, and writes nothing. psql
    // takes no notice of its failure, so it is ended before it commits.
    '\\! dd if=/dev/null conv=fsync status=none || kill -9 $PPID\n',
    'COMMIT;\n',
  ].join('');
}

/** Of the columns by which the rows to come are joined; the others would only take time. */
function analyzeStatement(relation: Relation, all: readonly Relation[], columns: readonly string[]): string {
  const referred = all.flatMap(({ references }) =>
    references.filter(({ to }) => to === relation).map(({ target }) => target),
  );
  const joined = [...relation.key, ...relation.references.map(({ column }) => column), ...referred];
  const names = columns.filter((one) => joined.includes(one)).map(pgName);
  return names.length === 0 ? '' : `ANALYZE ${staged(relation)} (${names.join(', ')});\n`;
}

/**
 * The server looks up every row that a foreign key refers to, with a plan that it makes once: of a table that is small
 * then, it would read all rows each time.
 */
function byIndex(statements: readonly string[]): string[] {
  return ['SET LOCAL enable_seqscan = off;\n', ...statements, 'SET LOCAL enable_seqscan TO DEFAULT;\n'];
}

/** A reference leads to a row that comes, too, or to one that all share: else it would lead into another tenant's rows. */
function danglingStatements(relation: Relation): string[] {
  return relation.references.flatMap(({ column, to, schema, table, target, enforced }) => {
    if (!to && enforced) return [];
    const there = to ? `${staged(to)} AS o` : `${pgTable({ schema, name: table })} AS o`;
    // Counted, for all of them are looked at in any case: asked whether there is one, the server hopes to find it early.
    const missing = `(SELECT count(*) FROM ${staged(relation)} AS s WHERE s.${pgName(column)} IS NOT NULL
      AND NOT EXISTS (SELECT FROM ${there} WHERE o.${pgName(target)} = s.${pgName(column)})) > 0`;
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
