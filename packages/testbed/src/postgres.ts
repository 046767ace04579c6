import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { requireTools } from './tools.ts';

const run = promisify(execFile);
const DEBIAN = '/usr/lib/postgresql';

export interface RunningPostgres {
  port: number;
  /** Of its socket. */
  dir: string;
  /** The superuser's, over TCP; the name is `postgres`. */
  password: string;
  /** Runs statements as the superuser and gives what psql prints. */
  sql(database: string, statements: string): Promise<string>;
  /** Runs another of its programs as the superuser. */
  tool(program: string, args: readonly string[]): Promise<string>;
  /** Ends it; its data is gone with it. */
  stop(): Promise<void>;
}

/** A real PostgreSQL server of the system's version on a free port, as the user `postgres` where we are root. */
export async function startPostgresServer(options: { password: string }): Promise<RunningPostgres> {
  const { password } = options;
  await requireTools(['psql', 'pg_dump']);
  const version = (await readdir(DEBIAN)).sort((a, b) => Number(a) - Number(b)).at(-1);
  const bin = join(DEBIAN, version ?? '', 'bin');
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-postgres-'));
  await chmod(dir, 0o755);
  const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
  if (asUser.length > 0) await run('chown', ['postgres', dir]);
  const words = (program: string, args: readonly string[]): [string, string[]] => {
    const [first = '', ...rest] = [...asUser, join(bin, program), ...args];
    return [first, rest];
  };
  const env = { ...process.env, PGPASSWORD: password, LC_ALL: 'C.UTF-8' };
  const data = join(dir, 'data');
  await run(
    ...words('initdb', [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'trust',
      '--no-sync',
      '-E',
      'UTF8',
      '--locale=C.UTF-8',
    ]),
    { cwd: '/', env },
  );
  const port = await getPort({ host: '127.0.0.1' });
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: dir, fsync: 'off' };
  const child: ChildProcess = spawn(
    ...words('postgres', [
      '-D',
      data,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]),
    { cwd: '/', env, stdio: 'ignore' },
  );
  const tool = async (program: string, args: readonly string[]): Promise<string> => {
    const connection = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres'];
    const { stdout } = await run(join(bin, program), [...connection, ...args], {
      cwd: '/',
      env,
      maxBuffer: 1 << 28,
    });
    return stdout;
  };
  const sql = (database: string, statements: string): Promise<string> =>
    tool('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', statements]);
  for (let tries = 0; ; tries += 1) {
    if (child.exitCode !== null) throw new Error(`postgres ended with ${child.exitCode}`);
    if (
      await sql('postgres', 'SELECT 1').then(
        () => true,
        () => false,
      )
    )
      break;
    if (tries > 300) throw new Error('postgres does not answer');
    await sleep(50);
  }
  await sql('postgres', `ALTER ROLE postgres PASSWORD '${password.replaceAll("'", "''")}'`);
  // From here on a password is needed.
  await sql('postgres', `COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '${data}/pg_hba.conf'`);
  await sql('postgres', 'SELECT pg_reload_conf()');
  return {
    ...{ port, dir, password, sql, tool },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        await run(...words('pg_ctl', ['stop', '-m', 'immediate', '-D', data]), { cwd: '/', env });
        await ended;
      }
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
