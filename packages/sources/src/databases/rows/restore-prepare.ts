import type { DatabaseFacts, RowsTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { cleaning } from '../../cleaning.ts';
import type { PreparedRestore, PrepareOptions, RestoreContext } from '../../types.ts';
import { askToReplace } from '../ask-to-replace.ts';
import { FORGET_SCRIPT, LOOK_SCRIPT, STAGE_SCRIPT, WRITE_SCRIPT } from '../mysql/restore-scripts.ts';
import { must } from '../mysql/restore-state.ts';
import { pgTable, pgText } from '../names.ts';
import type { PostgresTools } from '../postgres/tools.ts';
import { type ReadDump, readDumps } from '../read-dumps.ts';
import { sendBytes } from '../send-bytes.ts';
import { compareTables, firstOf, small } from './archived-tables.ts';
import { beginStatements, type Change, changeStatements, intoStage, namesOf } from './change-sql.ts';
import type { Returning } from './compare.ts';
import { createRowReader } from './json-to-copy.ts';
import { linesOf } from './lines.ts';
import { lookAtRows, tablesExpression } from './look.ts';
import { type Metadata, malformed, readTotals, TOTALS } from './metadata.ts';
import { inOrder, ownRows, type Relation, relate } from './relations.ts';
import { ARRIVED_SCRIPT, SYNC_SCRIPT } from './restore-scripts.ts';
import type { RowsState } from './restore-state.ts';

export interface RowsRestore {
  tools: PostgresTools;
  target: RowsTarget;
  facts: DatabaseFacts;
  dropExisting: boolean;
}

/** Names of the tables that hold rows of the tenant. */
export async function inhabited(
  { tools, target }: Pick<RowsRestore, 'tools' | 'target'>,
  relations: readonly Relation[],
): Promise<string[]> {
  const asked = relations.map(
    (one) =>
      `CASE WHEN EXISTS (SELECT FROM ${pgTable(one.look)} AS t WHERE ${ownRows(one, target.rows.tenant, 't')}) THEN ${pgText(one.table.name)} END`,
  );
  return tools.json<string[]>(
    target.database,
    `SET row_security = off; SELECT array_to_json(array_remove(ARRAY[${asked.join(', ')}]::text[], NULL))`,
  );
}

/** Whether a restore may begin. Gives the folder for its rows. */
export async function checkRows(
  restore: RowsRestore,
  {
    session,
    signal,
    jobId,
    needs,
    overwrite,
  }: RestoreContext & Pick<PrepareOptions, 'jobId' | 'needs' | 'overwrite'>,
): Promise<string> {
  const { tools, target, facts, dropExisting } = restore;
  const look = await lookAtRows(tools, target);
  if (!look.counts) {
    throw new AppError(
      'NOT_SUPPORTED',
      'The database server does not count what transactions change, so that nobody could see whether a restore leaves other rows alone. Set track_counts to on.',
    );
  }
  if (look.readOnly.length > 0) {
    throw new AppError(
      'INSUFFICIENT_PERMISSIONS',
      `The database user needs SELECT, INSERT and DELETE on ${look.readOnly.join(', ')}.`,
    );
  }
  const relations = relate(target.rows, look.tables);
  inOrder(relations);
  const isSame = facts.tenant === target.rows.tenant;
  const there = await inhabited(restore, relations);
  // What goes back to where it was takes the place of what is there; elsewhere that has to be said.
  if (there.length > 0 && !dropExisting && !(isSame && overwrite)) {
    throw new AppError(
      'CONFLICT',
      `The tenant ${target.rows.tenant} has rows already (${there.join(', ')}), and nothing was changed. ${askToReplace('them')}`,
    );
  }
  const looked = await session.run(['sh', '-c', LOOK_SCRIPT, 'sh', jobId], { signal });
  if (looked.code !== 0) throw new AppError('PATH_REFUSED', looked.stderr.toString().trim());
  const [folder = '', free] = looked.stdout.toString().split('\n');
  if (Number(free) < needs.bytes) {
    throw new AppError(
      'INSUFFICIENT_STORAGE',
      `The rows to come need about ${needs.bytes} bytes in ${folder}, which has ${Number(free)}.`,
    );
  }
  return folder;
}

/** Brings the rows to the server, with the statements that put them in place and back. The database is not changed. */
export async function prepareRows(restore: RowsRestore, options: PrepareOptions): Promise<PreparedRestore> {
  const folder = await checkRows(restore, options);
  const { session, signal } = options;
  const tar = await options.openTar();
  try {
    const state: RowsState = { kind: 'rows', target: restore.target, folder, parts: 0, bytes: 0 };
    await options.claim?.({ v: 1, folders: [folder], state: { ...state } });
    await must(session.run(['sh', '-c', STAGE_SCRIPT, 'sh', folder], { signal }));
    const dumps = readDumps(tar, (entry) => {
      state.parts += 1;
      state.bytes += entry.size;
      options.onEntry(entry);
    });
    const { change, returning } = await planChange(restore, await firstOf(dumps));
    await write(options, folder, 'rows.new.sql', rowStatements(dumps, returning));
    const kept: Change = {
      ...{ ...change, renew: false },
      columns: new Map(change.relations.map((one) => [one, namesOf(one)])),
    };
    await write(options, folder, 'begin.new.sql', text(beginStatements(change, true)));
    await write(options, folder, 'change.new.sql', text(changeStatements(change)));
    await write(options, folder, 'back-begin.sql', text(beginStatements(kept, false)));
    await write(options, folder, 'back-change.sql', text(changeStatements(kept)));
    await must(session.run(['sh', '-c', SYNC_SCRIPT, 'sh', folder], { signal }));
    return { v: 1, folders: [folder], state };
  } catch (error) {
    // The fault is told; what cannot be removed is so by the next attempt.
    const context = cleaning(options);
    const forget = ['sh', '-c', FORGET_SCRIPT, 'sh', folder, 'remove'];
    await session.run(forget, { signal: context.signal }).catch(() => undefined);
    throw error;
  } finally {
    tar.on('error', () => undefined);
    tar.destroy();
  }
}

async function planChange(
  { tools, target }: RowsRestore,
  metadata: Metadata,
): Promise<{ change: Change; returning: Returning[] }> {
  const { relations, returning } = await compareTables(tools, target, metadata);
  const printed = await tools.sql(
    target.database,
    `SET search_path = pg_catalog; SELECT md5(${tablesExpression(relations.map((one) => one.look))}::text);\n`,
  );
  const change: Change = {
    ...{ relations, tenant: target.rows.tenant, schemaMd5: printed.trim() },
    columns: new Map(returning.map(({ relation, columns }) => [relation, columns.map(({ name }) => name)])),
    renew: metadata.tenant !== target.rows.tenant,
  };
  return { change, returning };
}

/** The archive's lists as statements that bring their rows in. Ends only when all of them are there, as long as they were. */
async function* rowStatements(
  dumps: AsyncGenerator<ReadDump>,
  returning: readonly Returning[],
): AsyncGenerator<Buffer> {
  const left = new Set(returning);
  const counted: Record<string, number> = {};
  let totals: ReturnType<typeof readTotals> | null = null;
  for await (const dump of dumps) {
    if (dump.name === TOTALS) {
      totals = readTotals(await small(dump));
      continue;
    }
    const one = returning.find(({ list }) => list === dump.name);
    if (!one || !left.delete(one)) throw malformed(`it holds ${dump.name}, of which it says nothing`);
    const { relation, columns } = one;
    const { name } = relation.table;
    const reader = createRowReader(dump.name, columns);
    const { before, after } = intoStage(
      relation,
      columns.map((column) => column.name),
    );
    yield Buffer.from(before);
    for await (const lines of linesOf(dump.bytes)) yield reader.take(lines);
    yield Buffer.from(after);
    counted[name] = reader.rows;
  }
  if (totals === null || left.size > 0) throw malformed('it has no end');
  for (const [name, rows] of Object.entries(totals.tables)) {
    if (counted[name] !== rows)
      throw malformed(`of ${name} there are ${counted[name] ?? 0} rows and not ${rows}`);
  }
}

async function write(
  options: PrepareOptions,
  folder: string,
  file: string,
  source: AsyncIterable<Buffer>,
): Promise<void> {
  const { bytes } = await sendBytes(options, ['sh', '-c', WRITE_SCRIPT, 'sh', folder, file], source);
  const whole = ['sh', '-c', ARRIVED_SCRIPT, 'sh', folder, file, String(bytes)];
  await must(options.session.run(whole, { signal: options.signal }));
}

async function* text(statements: string): AsyncGenerator<Buffer> {
  yield Buffer.from(statements);
}
