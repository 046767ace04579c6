import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DatabaseFacts, PostgresTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { cleaning } from '../../../cleaning.ts';
import { withItsEnd } from '../../../files/program-end.ts';
import type { PreparedRestore, PrepareOptions, RestoreContext } from '../../../types.ts';
import { ABOUT } from '../../about.ts';
import { askToReplace } from '../../ask-to-replace.ts';
import { dumpName, pgConnection, pgName, pgText } from '../../names.ts';
import { type ReadDump, readDumps } from '../../read-dumps.ts';
import { DUMP_ENDING, ROLES } from '../capture.ts';
import type { PostgresDatabase } from '../look.ts';
import type { PostgresTools } from '../tools.ts';
import { missingRoles } from './roles.ts';
import { dropDatabases, homeFor, listDatabases, oidOf } from './server.ts';
import { namesFor, type PostgresState, readPostgresState } from './state.ts';

/** What is kept in memory of a dump of roles, or of what the archive says of itself. */
const SMALL_MAX = 64 * 1024 * 1024;

export interface PostgresRestore {
  tools: PostgresTools;
  /** The same, over another context. */
  toolsFor(context: RestoreContext): Promise<PostgresTools>;
  target: PostgresTarget;
  facts: DatabaseFacts;
  dropExisting: boolean;
  unsaved?: boolean;
}

/** Whether a restore may begin; nothing is changed. */
export async function checkPostgres({ tools, facts, dropExisting, unsaved }: PostgresRestore): Promise<void> {
  const home = homeFor(facts.databases);
  const may = await tools.json<{ may: boolean; version: number }>(
    home,
    `SELECT json_build_object('may', rolsuper OR rolcreatedb, 'version', current_setting('server_version_num')::int)
    FROM pg_roles WHERE rolname = current_user`,
  );
  if (!may.may) {
    throw new AppError(
      'INSUFFICIENT_PERMISSIONS',
      'The database user may not create databases, which a restore does beside the ones that are there. Give it CREATEDB, or SUPERUSER for dumps that need it.',
    );
  }
  await tools.version('pg_restore');
  const there = await listDatabases(tools, home);
  const existing = facts.databases.filter((name) => oidOf(there, name) !== null);
  if (existing.length === 0 || dropExisting) return;
  throw new AppError(
    'CONFLICT',
    `The server has a database ${existing.join(', ')} already, and nothing was changed. ${askToReplace('it', unsaved)}`,
  );
}

/** Every database of the archive under a name of its own, beside those that are there. */
export async function preparePostgres(
  restore: PostgresRestore,
  options: RestoreContext & Pick<PrepareOptions, 'jobId' | 'openTar' | 'onEntry' | 'claim' | 'claimed'>,
): Promise<PreparedRestore> {
  const { tools, target, facts } = restore;
  await checkPostgres(restore);
  const home = homeFor(facts.databases);
  const state: PostgresState = {
    ...{ kind: 'postgres', target, databases: [], roles: [], parts: 0, bytes: 0 },
  };
  const scratch = facts.databases.map((name) => namesFor(name, options.jobId).scratch);
  // Of an earlier attempt of this very job.
  await dropDatabases(tools, home, scratch);
  const before = options.claimed ? readPostgresState(options.claimed).roles : [];
  // What is in somebody's use by now is no longer ours.
  for (const role of before) await dropRoles(tools, home, [role]).catch(() => undefined);
  const claim = async (): Promise<void> =>
    options.claim?.({
      v: 1,
      folders: scratch.map((name) => `database ${name}`),
      state: { ...state, databases: [], scratch },
    });
  await claim();
  try {
    await loadAll(restore, options, state, claim);
  } catch (error) {
    // The fault is told; what cannot be removed is so by the next attempt.
    await restore
      .toolsFor(cleaning(options))
      .then(async (cleaner) => {
        await dropDatabases(cleaner, home, scratch);
        await dropRoles(cleaner, home, state.roles);
      })
      .catch(() => undefined);
    throw error;
  }
  return {
    v: 1,
    folders: state.databases.map(({ name, old, oldOid }) => `database ${oldOid === null ? name : old}`),
    state,
  };
}

async function loadAll(
  { tools, facts }: PostgresRestore,
  { jobId, openTar, onEntry }: Pick<PrepareOptions, 'jobId' | 'openTar' | 'onEntry'>,
  state: PostgresState,
  claim: () => Promise<void>,
): Promise<void> {
  const home = homeFor(facts.databases);
  const byEntry = new Map(facts.databases.map((name) => [dumpName(name, DUMP_ENDING), name]));
  let about: PostgresDatabase[] = [];
  const tar = await openTar();
  try {
    for await (const dump of readDumps(tar, onEntry)) {
      const name = byEntry.get(dump.name);
      if (dump.name === ABOUT) about = aboutOf(await small(dump));
      else if (dump.name === ROLES) await addRoles(tools, home, (await small(dump)).toString(), state, claim);
      else {
        const one = about.find((database) => database.name === name);
        if (name === undefined || !one) throw malformed(`it holds ${dump.name}, of which it says nothing`);
        state.databases.push(await load(tools, home, { one, jobId }, counted(dump, state)));
      }
    }
  } finally {
    tar.on('error', () => undefined);
    tar.destroy();
  }
  const missing = facts.databases.filter((name) => !state.databases.some((one) => one.name === name));
  if (missing.length > 0) throw malformed(`it does not hold ${missing.join(', ')}`);
}

async function load(
  tools: PostgresTools,
  home: string,
  { one, jobId }: { one: PostgresDatabase; jobId: string },
  bytes: AsyncGenerator<Buffer>,
): Promise<PostgresState['databases'][number]> {
  const { name } = one;
  const { scratch, old } = namesFor(name, jobId);
  await tools.sql(home, createStatement(one, scratch));
  const tool = await tools.start('pg_restore', ['--exit-on-error', `--dbname=${pgConnection(scratch)}`]);
  tool.stdout.resume();
  await withItsEnd(tool.ended, pipeline(Readable.from(bytes), tool.stdin));
  await tool.ended;
  await tools.sql(home, settingStatements(one, scratch));
  const there = await listDatabases(tools, home);
  const oid = oidOf(there, scratch);
  if (oid === null)
    throw new AppError('RESTORE_FAILED', `The database ${scratch} was removed while it was restored.`);
  return { name, scratch, old, oid, oldOid: oidOf(there, name) };
}

/** As the backed up one was made: from the template that may have another encoding and locale than its own. */
function createStatement(one: PostgresDatabase, name: string): string {
  const provider = one.provider === 'i' ? 'icu' : one.provider === 'b' ? 'builtin' : null;
  const locale =
    one.locale === null
      ? ''
      : ` ${provider === 'icu' ? 'ICU_LOCALE' : 'BUILTIN_LOCALE'} ${pgText(one.locale)}`;
  return `CREATE DATABASE ${pgName(name)} TEMPLATE template0 ENCODING ${pgText(one.encoding)}
    LC_COLLATE ${pgText(one.collate)} LC_CTYPE ${pgText(one.ctype)}${provider === null ? '' : ` LOCALE_PROVIDER ${provider}${locale}`};\n`;
}

/** What a dump of one database does not say of it: its owner, settings, limit and privileges. */
function settingStatements({ owner, settings, limit, privileges }: PostgresDatabase, name: string): string {
  const database = pgName(name);
  const grants = (privileges ?? []).map(({ grantee, privilege, grantable }) => {
    const to = grantee === null ? 'PUBLIC' : pgName(grantee);
    return `GRANT ${privilege} ON DATABASE ${database} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''};\n`;
  });
  const sets = settings.map(({ role, name: setting, value }) => {
    const whose = role === null ? '' : `ROLE ${pgName(role)} IN `;
    return `ALTER ${whose}DATABASE ${database} SET ${setting} TO ${value};\n`;
  });
  return [
    `ALTER DATABASE ${database} OWNER TO ${pgName(owner)};\n`,
    limit === -1 ? '' : `ALTER DATABASE ${database} CONNECTION LIMIT ${limit};\n`,
    privileges === null ? '' : `REVOKE ALL ON DATABASE ${database} FROM PUBLIC;\n`,
    ...grants,
    ...sets,
  ].join('');
}

async function addRoles(
  tools: PostgresTools,
  home: string,
  dump: string,
  state: PostgresState,
  claim: () => Promise<void>,
): Promise<void> {
  const existing = await tools.json<string[]>(home, 'SELECT json_agg(rolname) FROM pg_roles');
  const { names, statements } = missingRoles(dump, new Set(existing));
  if (names.length === 0) return;
  // Noted first: they may be there even if nobody hears that they were made.
  state.roles = names;
  await claim();
  try {
    await tools.sql(home, `BEGIN;\n${statements}\nCOMMIT;\n`);
  } catch (error) {
    // The server refused all of them, perhaps because somebody else has made one meanwhile.
    if (error instanceof AppError && error.code === 'COMMAND_FAILED' && !error.retryable) {
      state.roles = [];
      await claim();
    }
    throw error;
  }
}

export async function dropRoles(tools: PostgresTools, home: string, names: readonly string[]): Promise<void> {
  for (const name of names) await tools.sql(home, `DROP ROLE IF EXISTS ${pgName(name)};\n`);
}

async function* counted(dump: ReadDump, state: PostgresState): AsyncGenerator<Buffer> {
  for await (const part of dump.bytes) {
    state.parts += 1;
    state.bytes += part.length;
    yield part;
  }
}

async function small({ name, bytes }: ReadDump): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of bytes) {
    size += part.length;
    if (size > SMALL_MAX) throw malformed(`${name} is too long`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function aboutOf(bytes: Buffer): PostgresDatabase[] {
  try {
    return (JSON.parse(bytes.toString()) as { databases: PostgresDatabase[] }).databases;
  } catch (cause) {
    throw new AppError('ARCHIVE_MALFORMED', 'What the archive says of its databases is not JSON.', { cause });
  }
}

function malformed(what: string): AppError {
  return new AppError('ARCHIVE_MALFORMED', `The archive of the databases is not as it should be: ${what}.`);
}
