import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createParser, type DatabaseFacts, MysqlTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { withItsEnd } from '../../files/program-end.ts';
import type { PreparedRestore, PrepareOptions, RestoreContext, RestoreSummary } from '../../types.ts';
import { ABOUT } from '../about.ts';
import { entryName, mysqlName } from '../names.ts';
import { type ReadDump, readDumps } from '../read-dumps.ts';
import { DUMP_ENDING, type MysqlDatabase, wholeDumpArguments } from './capture.ts';
import {
  FORGET_SCRIPT,
  LOAD_SCRIPT,
  LOAD_WITHOUT_EVENTS_SCRIPT,
  LOOK_SCRIPT,
  NOTE_SCRIPT,
  SAVE_SCRIPT,
  STAGE_SCRIPT,
  STATE_SCRIPT,
  WHOLE_SCRIPT,
  WRITE_SCRIPT,
} from './restore-scripts.ts';
import type { MysqlTools } from './tools.ts';

const closed = { additionalProperties: false } as const;
const Charset = Type.String({ pattern: '^[A-Za-z0-9_]+$' });
const Database = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    charset: Charset,
    collation: Charset,
    /** The one that was there; null when there was none. */
    old: Type.Union([Type.Object({ charset: Charset, collation: Charset }, closed), Type.Null()]),
  },
  closed,
);
const MysqlState = Type.Object(
  {
    kind: Type.Literal('mysql'),
    target: MysqlTarget,
    folder: Type.String({ pattern: '^/.*/databases/[A-Za-z0-9_.-]+$' }),
    databases: Type.Array(Database),
    parts: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
  },
  closed,
);
export type MysqlState = Static<typeof MysqlState>;
const parse = createParser(MysqlState);

export interface MysqlRestore {
  tools: MysqlTools;
  target: MysqlTarget;
  facts: DatabaseFacts;
  dropExisting: boolean;
}

/** Whether a restore may begin. Gives the folder for its dumps, and what is there under the names to come. */
export async function checkMysql(
  { tools, facts, dropExisting, target }: MysqlRestore,
  { session, signal, jobId, needs }: RestoreContext & Pick<PrepareOptions, 'jobId' | 'needs'>,
): Promise<{ folder: string; there: MysqlDatabase[] }> {
  if (target.runAs !== null) {
    throw new AppError(
      'NOT_SUPPORTED',
      'MySQL databases are not restored with run_as: give the service a username and a password.',
    );
  }
  const there = await tools.databases(facts.databases);
  if (there.length > 0 && !dropExisting) {
    throw new AppError(
      'CONFLICT',
      `The server has a database ${there.map(({ name }) => name).join(', ')} already, and nothing was changed. Ask for drop_existing to have it replaced by the backup's.`,
    );
  }
  const looked = await session.run(['sh', '-c', LOOK_SCRIPT, 'sh', jobId], { signal });
  if (looked.code !== 0) throw new AppError('PATH_REFUSED', looked.stderr.toString().trim());
  const [folder = '', free] = looked.stdout.toString().split('\n');
  // A dump is longer than the rows, as a rule; and the indexes are not in it.
  const needed = needs.bytes + there.reduce((sum, { bytes }) => sum + bytes * 2, 0);
  if (Number(free) < needed) {
    throw new AppError(
      'INSUFFICIENT_STORAGE',
      `The dumps of what comes and of what is there need about ${needed} bytes in ${folder}, which has ${Number(free)}.`,
    );
  }
  return { folder, there };
}

/** Brings the dumps to the server, and loads each once into a database of another name to see that it is sound. */
export async function prepareMysql(restore: MysqlRestore, options: PrepareOptions): Promise<PreparedRestore> {
  const { tools, target, facts } = restore;
  const { folder, there } = await checkMysql(restore, options);
  const { session, signal } = options;
  await must(session.run(['sh', '-c', STAGE_SCRIPT, 'sh', folder], { signal }));
  const state: MysqlState = { kind: 'mysql', target, folder, databases: [], parts: 0, bytes: 0 };
  const byEntry = new Map(facts.databases.map((name) => [`${entryName(name)}${DUMP_ENDING}`, name]));
  let about: MysqlDatabase[] = [];
  const tar = await options.openTar();
  try {
    for await (const dump of readDumps(tar)) {
      const name = byEntry.get(dump.name);
      if (dump.name === ABOUT) {
        about = await readAbout(dump);
        continue;
      }
      const one = about.find((database) => database.name === name);
      if (!one || name === undefined) throw malformed(`it holds ${dump.name}, of which it says nothing`);
      const file = `${state.databases.length}.new.sql`;
      const { parts, bytes } = await write(options, folder, file, dump);
      state.parts += parts;
      state.bytes += bytes;
      const { charset, collation } = one;
      const old = there.find((database) => database.name === name);
      const before = old ? { charset: old.charset, collation: old.collation } : null;
      state.databases.push({ name, charset, collation, old: before });
      await rehearse(tools, one, `${folder}/${file}`, options.jobId);
    }
  } catch (error) {
    // The fault is told; what is left is removed by the next attempt.
    await session.run(['sh', '-c', FORGET_SCRIPT, 'sh', folder, 'remove'], { signal }).catch(() => undefined);
    throw error;
  } finally {
    tar.on('error', () => undefined);
    tar.destroy();
  }
  if (state.databases.length !== facts.databases.length) throw malformed('a database is missing in it');
  return { v: 1, folders: [folder], state };
}

async function rehearse(tools: MysqlTools, one: MysqlDatabase, file: string, jobId: string): Promise<void> {
  const scratch = `tarfleet_${jobId.replace(/[^A-Za-z0-9]/g, '').slice(-24)}`;
  const drop = `DROP DATABASE IF EXISTS ${mysqlName(scratch)};\n`;
  await tools.sql(`${drop}${createStatement(scratch, one)}`);
  try {
    await tools.load(scratch, file, LOAD_WITHOUT_EVENTS_SCRIPT);
  } finally {
    await tools.sql(drop);
  }
}

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

export async function forgetMysql(
  { folder }: MysqlState,
  { session, signal }: RestoreContext,
  keepOld: boolean,
): Promise<void> {
  await must(session.run(['sh', '-c', FORGET_SCRIPT, 'sh', folder, keepOld ? 'keep' : 'remove'], { signal }));
}

/** RESTORE_FAILED when it is not what `prepare` gave. */
export function readMysqlState(prepared: PreparedRestore): MysqlState {
  const parsed = parse(prepared.state);
  if (parsed.ok) return parsed.value;
  throw new AppError(
    'RESTORE_FAILED',
    `The record of what was prepared on the server is damaged: ${parsed.faults.join('; ')}. Nothing was done; the dumps are in ${prepared.folders.join(', ')}.`,
  );
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

function createStatement(
  name: string,
  { charset, collation }: { charset: string; collation: string },
): string {
  return `CREATE DATABASE ${mysqlName(name)} CHARACTER SET ${charset} COLLATE ${collation};\n`;
}

async function write(
  { session, signal }: RestoreContext,
  folder: string,
  file: string,
  dump: ReadDump,
): Promise<{ parts: number; bytes: number }> {
  let [parts, bytes] = [0, 0];
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const part of dump.bytes) {
      parts += 1;
      bytes += part.length;
      yield part;
    }
  }
  const command = await session.exec(['sh', '-c', WRITE_SCRIPT, 'sh', folder, file], { signal });
  command.stdout.resume();
  command.stderr.resume();
  const told = command.done.then(({ code }) => {
    if (code !== 0) throw new AppError('COMMAND_FAILED', `The dump could not be written to ${folder}.`);
  });
  told.catch(() => undefined);
  await withItsEnd(told, pipeline(Readable.from(counted()), command.stdin));
  await must(session.run(['sh', '-c', WHOLE_SCRIPT, 'sh', folder, file, String(bytes)], { signal }));
  return { parts, bytes };
}

async function stateOf(
  { folder }: MysqlState,
  number: number,
  { session, signal }: RestoreContext,
): Promise<{ state: string; hasOld: boolean }> {
  const printed = await must(
    session.run(['sh', '-c', STATE_SCRIPT, 'sh', folder, String(number)], { signal }),
  );
  const [state = '', old] = printed.split('\n');
  return { state, hasOld: old === 'old' };
}

async function note(
  { folder }: MysqlState,
  number: number,
  word: 'begun' | 'applied' | 'undone',
  { session, signal }: RestoreContext,
): Promise<void> {
  await must(session.run(['sh', '-c', NOTE_SCRIPT, 'sh', folder, String(number), word], { signal }));
}

async function must(run: Promise<{ code: number | null; stdout: Buffer; stderr: Buffer }>): Promise<string> {
  const { code, stdout, stderr } = await run;
  if (code === 0) return stdout.toString();
  throw new AppError(
    'RESTORE_FAILED',
    stderr.toString().trim().slice(-500) || 'A command on the server failed without a word.',
  );
}

async function readAbout(dump: ReadDump): Promise<MysqlDatabase[]> {
  const parts: Buffer[] = [];
  for await (const part of dump.bytes) parts.push(part);
  try {
    return (JSON.parse(Buffer.concat(parts).toString()) as { databases: MysqlDatabase[] }).databases;
  } catch (cause) {
    throw new AppError('ARCHIVE_MALFORMED', 'What the archive says of its databases is not JSON.', { cause });
  }
}

function malformed(what: string): AppError {
  return new AppError('ARCHIVE_MALFORMED', `The archive of the databases is not as it should be: ${what}.`);
}
