/** Real servers with real data, below one folder, each with the commands that stop, start and look at it. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CommandRunner } from '@tarfleet/contracts';
import getPort from 'get-port';
import { requireTools } from './tools.ts';

const run = promisify(execFile);

export interface RealService {
  port: number;
  runner: CommandRunner;
  /** What its pid file holds; null when there is none. */
  pid(): Promise<number | null>;
}

export interface RealServices {
  dir: string;
  redis: RealService;
  mariadb: RealService;
  /** Serves `dir/www`, which tells the visitor `hello from nginx`. */
  nginx: RealService;
  /** Asks redis and mariadb, as their users would. */
  redisGet(key: string): Promise<string>;
  sql(statement: string): Promise<string>;
  remove(): Promise<void>;
}

const runner = (stop: string[], start: string[], status: string[]): CommandRunner => ({
  kind: 'command',
  stop: { argv: stop, seconds: 30 },
  start: { argv: start, seconds: 60 },
  status: { argv: status, seconds: 10 },
});

/** Prepares all three, none of them started. */
export async function prepareRealServices(): Promise<RealServices> {
  const tools = await requireTools([
    ...(['redis-server', 'redis-cli', 'nginx'] as const),
    ...(['mariadbd', 'mariadb', 'mariadb-admin', 'mariadb-install-db'] as const),
  ]);
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-real-'));
  await chmod(dir, 0o755);
  const pidOf = (name: string) => async (): Promise<number | null> =>
    Number(await readFile(join(dir, `${name}.pid`), 'utf8').catch(() => '')) || null;
  const alive = (name: string): string[] => [
    ...['sh', '-c', '[ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null', 'sh', join(dir, `${name}.pid`)],
  ];

  const redisPort = await getPort({ host: '127.0.0.1' });
  const redisCli = [tools['redis-cli'], '-p', String(redisPort)];
  await mkdir(join(dir, 'redis'));
  await writeFile(
    join(dir, 'redis.conf'),
    `port ${redisPort}\nbind 127.0.0.1\ndir ${dir}/redis\ndaemonize yes\nappendonly yes\npidfile ${dir}/redis.pid\n`,
  );

  const sqlPort = await getPort({ host: '127.0.0.1' });
  const defaults = `--defaults-file=${dir}/my.cnf`;
  await writeFile(
    join(dir, 'my.cnf'),
    `[mariadbd]\ndatadir=${dir}/mariadb\nsocket=${dir}/mariadb.sock\nport=${sqlPort}\nbind-address=127.0.0.1\n` +
      `pid-file=${dir}/mariadb.pid\nuser=root\ninnodb_flush_log_at_trx_commit=1\n[client]\nsocket=${dir}/mariadb.sock\nuser=root\n`,
  );
  await run(tools['mariadb-install-db'], [
    defaults,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);

  const webPort = await getPort({ host: '127.0.0.1' });
  await mkdir(join(dir, 'www'));
  await writeFile(join(dir, 'www/index.html'), 'hello from nginx\n');
  await writeFile(
    join(dir, 'nginx.conf'),
    `user root;\npid ${dir}/nginx.pid;\nerror_log ${dir}/nginx.log;\nworker_processes 1;\nevents {}\n` +
      `http { access_log off; client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2; fastcgi_temp_path ${dir}/t3;\n` +
      `uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;\n` +
      `server { listen 127.0.0.1:${webPort}; root ${dir}/www;\n` +
      `location = /teapot { return 418; } } }\n`,
  );
  const nginx = [tools.nginx, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'nginx.log')];

  const services: Omit<RealServices, 'remove'> = {
    dir,
    redis: {
      port: redisPort,
      pid: pidOf('redis'),
      runner: runner(
        [...redisCli, 'shutdown'],
        [tools['redis-server'], join(dir, 'redis.conf')],
        [...redisCli, 'ping'],
      ),
    },
    mariadb: {
      port: sqlPort,
      pid: pidOf('mariadb'),
      // It stays in the foreground: put behind by a shell, it keeps its starter's output open.
      runner: runner(
        [tools['mariadb-admin'], defaults, 'shutdown'],
        ['sh', '-c', 'echo starting; exec "$@" & sleep 0.2', 'sh', tools.mariadbd, defaults],
        [tools['mariadb-admin'], defaults, 'ping'],
      ),
    },
    nginx: {
      port: webPort,
      pid: pidOf('nginx'),
      runner: runner([...nginx, '-s', 'quit'], nginx, alive('nginx')),
    },
    redisGet: async (key) => (await run(redisCli[0] ?? '', [...redisCli.slice(1), 'get', key])).stdout.trim(),
    sql: async (statement) => (await run(tools.mariadb, [defaults, '-N', '-e', statement])).stdout.trim(),
  };
  return {
    ...services,
    async remove() {
      for (const { pid } of [services.redis, services.mariadb, services.nginx]) {
        const id = await pid();
        if (id !== null) await end(id);
      }
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** With time to end what it started itself. */
async function end(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGTERM');
    for (let tries = 0; tries < 200 && (await isAlive(pid)); tries += 1) await sleep(50);
  } catch {
    // It has ended long since.
  }
}

/** A zombie has ended; its parent may take its time to notice. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return !/\) [ZX]/.test(stat);
}
