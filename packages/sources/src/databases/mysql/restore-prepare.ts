import type { DatabaseFacts, MysqlTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { cleaning } from '../../cleaning.ts';
import type { PreparedRestore, PrepareOptions, RestoreContext } from '../../types.ts';
import { ABOUT } from '../about.ts';
import { askToReplace } from '../ask-to-replace.ts';
import { dumpName, mysqlName } from '../names.ts';
import { type ReadDump, readDumps } from '../read-dumps.ts';
import { sendBytes } from '../send-bytes.ts';
import { DUMP_ENDING, type MysqlDatabase } from './capture.ts';
import {
  FORGET_SCRIPT,
  LOAD_WITHOUT_EVENTS_SCRIPT,
  LOOK_SCRIPT,
  STAGE_SCRIPT,
  WHOLE_SCRIPT,
  WRITE_SCRIPT,
} from './restore-scripts.ts';
import { type MysqlState, must } from './restore-state.ts';
import { createStatement } from './restore-swap.ts';
import type { MysqlTools } from './tools.ts';

export interface MysqlRestore {
  tools: MysqlTools;
  /** The same, over another context. */
  toolsFor(context: RestoreContext): Promise<MysqlTools>;
  target: MysqlTarget;
  facts: DatabaseFacts;
  dropExisting: boolean;
  unsaved?: boolean;
}

/** Whether a restore may begin. Gives the folder for its dumps, and what is there under the names to come. */
export async function checkMysql(
  { tools, facts, dropExisting, unsaved, target }: MysqlRestore,
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
      `The server has a database ${there.map(({ name }) => name).join(', ')} already, and nothing was changed. ${askToReplace('it', unsaved)}`,
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
  const state: MysqlState = { kind: 'mysql', target, folder, databases: [], parts: 0, bytes: 0 };
  const byEntry = new Map(facts.databases.map((name) => [dumpName(name, DUMP_ENDING), name]));
  let about: MysqlDatabase[] = [];
  const scratch = `tarfleet_${options.jobId.replace(/[^A-Za-z0-9]/g, '').slice(-24)}`;
  const drop = `DROP DATABASE IF EXISTS ${mysqlName(scratch)};\n`;
  await options.claim?.({ v: 1, folders: [folder], state: { ...state, scratch } });
  const tar = await options.openTar();
  try {
    await must(session.run(['sh', '-c', STAGE_SCRIPT, 'sh', folder], { signal }));
    for await (const dump of readDumps(tar, options.onEntry)) {
      const name = byEntry.get(dump.name);
      if (dump.name === ABOUT) {
        about = await readAbout(dump);
        continue;
      }
      const one = about.find((database) => database.name === name);
      if (!one || name === undefined) throw malformed(`it holds ${dump.name}, of which it says nothing`);
      const file = `${state.databases.length}.new.sql`;
      const write = ['sh', '-c', WRITE_SCRIPT, 'sh', folder, file];
      const { parts, bytes } = await sendBytes(options, write, dump.bytes);
      await must(session.run(['sh', '-c', WHOLE_SCRIPT, 'sh', folder, file, String(bytes)], { signal }));
      state.parts += parts;
      state.bytes += bytes;
      const { charset, collation } = one;
      const old = there.find((database) => database.name === name);
      const before = old ? { charset: old.charset, collation: old.collation } : null;
      state.databases.push({ name, charset, collation, old: before });
      // That it loads is seen in a database of another name; one may be left of an earlier attempt.
      await tools.sql(`${drop}${createStatement(scratch, one)}`);
      await tools.load(scratch, `${folder}/${file}`, LOAD_WITHOUT_EVENTS_SCRIPT);
      await tools.sql(drop);
    }
    if (state.databases.length !== facts.databases.length) throw malformed('a database is missing in it');
    return { v: 1, folders: [folder], state };
  } catch (error) {
    // The fault is told; what cannot be removed is so by the next attempt.
    const context = cleaning(options);
    const forget = ['sh', '-c', FORGET_SCRIPT, 'sh', folder, 'remove'];
    await session.run(forget, { signal: context.signal }).catch(() => undefined);
    await restore
      .toolsFor(context)
      .then((cleaner) => cleaner.sql(drop))
      .catch(() => undefined);
    throw error;
  } finally {
    tar.on('error', () => undefined);
    tar.destroy();
  }
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
