import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { requireTools } from './tools.ts';

const run = promisify(execFile);

export interface RunningMariadb {
  port: number;
  socket: string;
  /** Of the user `backup`, who may do everything. */
  password: string;
  /** Runs statements and gives what the client prints, without column names. */
  sql(statements: string, database?: string): Promise<string>;
  /** Ends it; its data is gone with it. */
  stop(): Promise<void>;
}

/** A real MariaDB server on a free port. */
export async function startMariadb({ password }: { password: string }): Promise<RunningMariadb> {
  const tools = await requireTools(['mariadbd', 'mariadb-install-db', 'mariadb', 'mariadb-dump']);
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-mariadb-'));
  await chmod(dir, 0o755);
  const port = await getPort({ host: '127.0.0.1' });
  const socket = join(dir, 'mariadb.sock');
  const file = join(dir, 'my.cnf');
  await writeFile(
    file,
    `[mariadbd]\ndatadir=${dir}/data\nsocket=${socket}\nport=${port}\nbind-address=127.0.0.1\nuser=root\n` +
      `event_scheduler=ON\ninnodb_flush_log_at_trx_commit=0\n[client]\nsocket=${socket}\nuser=root\n`,
  );
  const defaults = `--defaults-file=${file}`;
  await run(tools['mariadb-install-db'], [
    defaults,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  const child = spawn(tools.mariadbd, [defaults], { stdio: 'ignore' });
  const sql = async (statements: string, database?: string): Promise<string> => {
    const args = [defaults, '--batch', '--skip-column-names', '--default-character-set=utf8mb4'];
    const client = run(tools.mariadb, [...args, ...(database === undefined ? [] : [database])], {
      maxBuffer: 1 << 28,
    });
    // How the client ends says more than that it did not read everything.
    client.child.stdin?.on('error', () => undefined);
    client.child.stdin?.end(statements);
    return (await client).stdout;
  };
  for (let tries = 0; ; tries += 1) {
    if (child.exitCode !== null) throw new Error(`mariadbd ended with ${child.exitCode}`);
    const up = await sql('SELECT 1').then(
      () => true,
      () => false,
    );
    if (up) break;
    if (tries > 400) throw new Error('mariadbd does not answer');
    await sleep(50);
  }
  const quoted = password.replace(/[\\']/g, '\\$&');
  await sql(
    `CREATE USER backup@'%' IDENTIFIED BY '${quoted}'; GRANT ALL ON *.* TO backup@'%' WITH GRANT OPTION;`,
  );
  return {
    ...{ port, socket, password, sql },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
