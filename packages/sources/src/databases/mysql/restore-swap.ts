import { AppError } from '@tarfleet/kernel';
import type { RestoreContext, RestoreSummary } from '../../types.ts';
import { mysqlName } from '../names.ts';
import { wholeDumpArguments } from './capture.ts';
import { FORGET_SCRIPT, LOAD_SCRIPT, SAVE_SCRIPT } from './restore-scripts.ts';
import { type MysqlState, must, note, stateOf } from './restore-state.ts';
import type { MysqlTools } from './tools.ts';

/**
 * Makes each database anew. It is not one step, as MySQL has none for that: what was there is dumped before, and nothing
 * may use it meanwhile. May be repeated: what was begun and did not end is done again.
 */
export async function applyMysql(
  tools: MysqlTools,
  state: MysqlState,
  context: RestoreContext,
): Promise<RestoreSummary> {
  for (const [number, { name, old, ...made }] of state.databases.entries()) {
    const known = await stateOf(state, number, context);
    if (known.state === 'gone')
      throw new AppError('RESTORE_FAILED', `The dumps in ${state.folder} are gone.`);
    if (known.state === 'applied') continue;
    const file = `${state.folder}/${number}`;
    if (old && !known.hasOld) await tools.save(`${file}.old.sql`, SAVE_SCRIPT, wholeDumpArguments(name));
    if (!old && known.state === 'none' && (await tools.databases([name])).length > 0) {
      throw new AppError('RESTORE_FAILED', `Another database ${name} has come since the restore began.`);
    }
    await note(state, number, 'begun', context);
    await replace(tools, name, made, `${file}.new.sql`);
    await note(state, number, 'applied', context);
  }
  return { filesRestored: state.parts, filesSkipped: 0, bytesRestored: state.bytes };
}

/** Makes what was there before anew, from its dump. May be repeated. */
export async function undoMysql(
  tools: MysqlTools,
  state: MysqlState,
  context: RestoreContext,
): Promise<void> {
  for (const [number, { name, old }] of [...state.databases.entries()].reverse()) {
    const known = await stateOf(state, number, context);
    if (known.state !== 'begun' && known.state !== 'applied') continue;
    if (old && !known.hasOld) throw new AppError('RESTORE_FAILED', `The dump of the former ${name} is gone.`);
    if (old) await replace(tools, name, old, `${state.folder}/${number}.old.sql`);
    else await tools.sql(`DROP DATABASE IF EXISTS ${mysqlName(name)};\n`);
    await note(state, number, 'undone', context);
  }
}

export async function undoableMysql(state: MysqlState, context: RestoreContext): Promise<string | null> {
  for (const [number, { name, old }] of state.databases.entries()) {
    const known = await stateOf(state, number, context);
    if (known.state !== 'applied')
      return `The restore cannot be undone: ${name} was put back already, or its dumps are gone.`;
    if (old && !known.hasOld) return `The restore cannot be undone: the dump of the former ${name} is gone.`;
  }
  return null;
}

/** Dumps, and the database of another name that a claim tells of. */
export async function forgetMysql(
  toolsFor: () => Promise<MysqlTools>,
  { folder, scratch }: MysqlState,
  { session, signal }: RestoreContext,
  keepOld: boolean,
): Promise<void> {
  if (scratch !== undefined) {
    const tools = await toolsFor();
    await tools.sql(`DROP DATABASE IF EXISTS ${mysqlName(scratch)};\n`);
  }
  await must(session.run(['sh', '-c', FORGET_SCRIPT, 'sh', folder, keepOld ? 'keep' : 'remove'], { signal }));
}

async function replace(
  tools: MysqlTools,
  name: string,
  made: { charset: string; collation: string },
  file: string,
): Promise<void> {
  await tools.sql(`DROP DATABASE IF EXISTS ${mysqlName(name)};\n${createStatement(name, made)}`);
  await tools.load(name, file, LOAD_SCRIPT);
}

export function createStatement(
  name: string,
  { charset, collation }: { charset: string; collation: string },
): string {
  return `CREATE DATABASE ${mysqlName(name)} CHARACTER SET ${charset} COLLATE ${collation};\n`;
}
