import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@tarfleet/kernel';
import type { RestoreContext, RestoreSummary } from '../../types.ts';
import { FORGET_SCRIPT } from '../mysql/restore-scripts.ts';
import { must } from '../mysql/restore-state.ts';
import type { PostgresTools } from '../postgres/tools.ts';
import { toolOutput } from '../run-tool.ts';
import { TRANSACTION } from './change-sql.ts';
import { FIRST_LINE_SCRIPT, RUN_SCRIPT, UNDONE_SCRIPT } from './restore-scripts.ts';
import type { RowsState } from './restore-state.ts';

const OLD = 'old.sql';
const BACK = 'undo.out';
const FORWARD_FILES = 'begin.new.sql rows.new.sql change.new.sql';
const BACK_FILES = `back-begin.sql ${OLD} back-change.sql`;
/** How long a transaction of an attempt that is gone may take to end, in seconds. */
const ENDING_SECONDS = 120;

export interface RowsSwap {
  tools: PostgresTools;
  /** Whether the tool's password comes on its input. */
  hasPassword: boolean;
  state: RowsState;
  context: RestoreContext;
}

/** Puts the rows in place, in one transaction that also prints those that were there. May be repeated. */
export async function applyRows(swap: RowsSwap): Promise<RestoreSummary> {
  const { parts, bytes } = swap.state;
  if ((await outcomeOf(swap, OLD)) !== 'committed') await run(swap, OLD, FORWARD_FILES);
  return { filesRestored: parts, filesSkipped: 0, bytesRestored: bytes };
}

/** Puts the rows back that were there before, in one transaction. May be repeated. */
export async function undoRows(swap: RowsSwap): Promise<void> {
  if ((await outcomeOf(swap, OLD)) !== 'committed') return;
  if ((await outcomeOf(swap, BACK)) !== 'committed') await run(swap, BACK, BACK_FILES);
  const { session, signal } = swap.context;
  await must(session.run(['sh', '-c', UNDONE_SCRIPT, 'sh', swap.state.folder], { signal }));
}

export async function undoableRows(swap: RowsSwap): Promise<string | null> {
  const outcome = await outcomeOf(swap, OLD);
  if (outcome === 'committed') return null;
  return `The restore cannot be undone: ${outcome === 'gone' ? 'the former rows are gone' : 'the former rows are in place already'}.`;
}

export async function forgetRows(
  { folder }: RowsState,
  { session, signal }: RestoreContext,
  keepOld: boolean,
) {
  await must(session.run(['sh', '-c', FORGET_SCRIPT, 'sh', folder, keepOld ? 'keep' : 'remove'], { signal }));
}

async function run(swap: RowsSwap, out: string, files: string): Promise<void> {
  const { tools, state, hasPassword } = swap;
  const how = hasPassword ? 'secret' : 'none';
  const tool = await tools.psql(state.target.database, [
    'sh',
    '-c',
    RUN_SCRIPT,
    'sh',
    state.folder,
    out,
    files,
    how,
  ]);
  tool.stdin.end();
  for await (const _nothing of toolOutput(tool));
  // It ends well, too, when its input broke off before the commit.
  if ((await outcomeOf(swap, out)) === 'committed') return;
  throw new AppError('RESTORE_FAILED', 'The rows were not put in place: psql did not come to the end.', {
    retryable: true,
  });
}

type Outcome = 'gone' | 'none' | 'aborted' | 'committed';

/** What became of the transaction that printed to a file: the server knows, whoever was killed. */
async function outcomeOf({ tools, state, context }: RowsSwap, file: string): Promise<Outcome> {
  const { session, signal } = context;
  const printed = await must(
    session.run(['sh', '-c', FIRST_LINE_SCRIPT, 'sh', state.folder, file], { signal }),
  );
  const line = printed.trim();
  if (line === 'gone') return 'gone';
  const [, number] = new RegExp(`^${TRANSACTION}(\\d+)$`).exec(line) ?? [];
  // It never comes to its commit before that line is written.
  if (number === undefined) return 'none';
  const { database } = state.target;
  for (let tries = 0; tries < ENDING_SECONDS * 2; tries += 1) {
    const said = await tools.sql(database, `SELECT pg_xact_status('${number}'::xid8);\n`);
    const status = said.trim();
    if (status === 'committed' || status === 'aborted') return status;
    if (status === '') break;
    await tools.sql(
      database,
      `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_xid = ('${number}'::xid8)::xid;\n`,
    );
    await sleep(500, undefined, { signal });
  }
  throw new AppError(
    'RESTORE_FAILED',
    `What became of the transaction ${number}, which puts rows in place, cannot be told. What is to come and what was there is in ${state.folder}.`,
  );
}
