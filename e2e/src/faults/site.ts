import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requireTools, snapshotTree, type TreeEntry } from '@tarfleet/testbed';
import { freePort } from '../stack-command.ts';
import { until } from '../until.ts';
import { writeGateScripts } from './gate-scripts.ts';
import { createGates, type Gates } from './gates.ts';

const run = promisify(execFile);

/** `backup` is what was backed up, `before` what a restore finds in its place. */
export const GENERATIONS = ['backup', 'before'] as const;
export type Generation = (typeof GENERATIONS)[number];
/** `batch` has none of its own in the backup: it is concerned because it depends on redis. */
export const TREES = ['web', 'cache'] as const;
type Trees = Record<(typeof TREES)[number], TreeEntry[]>;

/** nginx and redis with their data on a small file system, and a third service that does not run. */
export interface Site {
  top: string;
  small: string;
  gates: Gates;
  /** Folder for the front of the server's PATH. */
  bin: string;
  /** As the API takes services. */
  services: { name: string; body: object }[];
  /** Puts one generation's files in their places, with the services stopped, then starts nginx and redis. */
  lay(generation: Generation): Promise<void>;
  /** Starts nginx and redis where they do not run, as their operator would. */
  start(): Promise<void>;
  snapshots: Record<Generation, Trees>;
  now(): Promise<Trees>;
  /** What each running service tells of its data; null for one that does not answer. */
  ask(): Promise<{ web: string | null; cache: string | null; batch: boolean }>;
  stop(): Promise<void>;
}

/** Room for both generations and a restore beside its margin. */
const SMALL_MIB = 28;

export async function createSite(top: string): Promise<Site> {
  const tools = await requireTools(['redis-server', 'redis-cli', 'nginx']);
  const small = join(top, 'small');
  const ports = { web: await freePort(), cache: await freePort() };
  for (const name of ['run', 'small', 'generations']) await mkdir(join(top, name));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_MIB}m,mode=0755`, 'tmpfs', small]);
  const { bin, ctl } = await writeGateScripts(top);
  const gates = createGates(top);
  const cli = [tools['redis-cli'], '-p', String(ports.cache)];
  await writeFile(
    join(top, 'redis.conf'),
    `port ${ports.cache}\nbind 127.0.0.1\ndir ${small}/cache\ndaemonize yes\nsave ""\nappendonly no\npidfile ${top}/run/cache.pid\nlogfile ${top}/run/cache.log\n`,
  );
  await writeFile(
    join(top, 'nginx.conf'),
    `user root;\npid ${top}/run/web.pid;\nerror_log ${top}/run/web.log;\nworker_processes 1;\nevents {}\n` +
      `http { access_log off; client_body_temp_path ${top}/run/t1; proxy_temp_path ${top}/run/t2; fastcgi_temp_path ${top}/run/t3;\n` +
      `uwsgi_temp_path ${top}/run/t4; scgi_temp_path ${top}/run/t5;\n` +
      `server { listen 127.0.0.1:${ports.web}; root ${small}/web; } }\n`,
  );
  const scripts = {
    'start-web': `exec '${tools.nginx}' -c '${top}/nginx.conf' -e '${top}/run/web.log'`,
    'start-cache': `exec '${tools['redis-server']}' '${top}/redis.conf'`,
    'ask-web': `exec curl -sf --max-time 3 http://127.0.0.1:${ports.web}/generation`,
    'ask-cache': `exec ${cli.join(' ')} get generation`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(top, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(top, name), 0o755);
  }
  const order = (...words: string[]) => run(ctl, words, { timeout: 20_000 });
  const runs = (name: string): Promise<boolean> =>
    order(name, 'status').then(
      () => true,
      () => false,
    );
  const answerOf = (name: string): Promise<string | null> =>
    run(join(top, `ask-${name}`)).then(
      ({ stdout }) => stdout.trim(),
      () => null,
    );
  const ask: Site['ask'] = async () => ({
    web: await answerOf('web'),
    cache: (await answerOf('cache')) || null,
    batch: await runs('batch'),
  });
  const halt = async (): Promise<void> => {
    for (const name of ['web', 'cache'])
      if (await runs(name)) {
        await order(name, 'stop');
        await until(`${name} has stopped`, async () => !(await runs(name)));
      }
    await rm(join(top, 'run/batch.on'), { force: true });
  };
  const now = async (): Promise<Trees> => ({
    web: await snapshotTree(join(small, 'web')),
    cache: await snapshotTree(join(small, 'cache')),
  });
  const start = async (): Promise<void> => {
    for (const name of ['cache', 'web']) if (!(await runs(name))) await order(name, 'start');
  };
  const lay = async (generation: Generation): Promise<void> => {
    await halt();
    await run('find', [small, '-mindepth', '1', '-delete']);
    await run('cp', ['-a', '--', `${top}/generations/${generation}/.`, small]);
    await start();
    await until('the services run', async () => {
      const { web, cache } = await ask();
      return web === generation && cache === generation;
    });
  };
  for (const generation of GENERATIONS) {
    await makeGeneration(join(top, 'generations', generation), generation);
    // redis writes its own file, once.
    await run('cp', ['-a', '--', `${top}/generations/${generation}/.`, small]);
    await order('cache', 'start');
    await until('redis runs', async () => (await answerOf('cache')) !== null);
    await run(cli[0] ?? '', [...cli.slice(1), 'set', 'generation', generation]);
    await run(cli[0] ?? '', [...cli.slice(1), 'save']);
    await halt();
    await run('cp', ['-a', `${small}/cache/dump.rdb`, `${top}/generations/${generation}/cache/dump.rdb`]);
    await run('find', [small, '-mindepth', '1', '-delete']);
  }
  const snapshots: Partial<Record<Generation, Trees>> = {};
  for (const generation of GENERATIONS) {
    await lay(generation);
    snapshots[generation] = await now();
  }
  const command = (name: string, verb: string) => ({ command: [ctl, name, verb], timeout_seconds: 5 });
  const body = (name: string, dependsOn: string[]) => ({
    ...{ name, type: 'command', component: 'files', config_paths: [], data_paths: [join(small, name)] },
    ...{ depends_on: dependsOn, stop: command(name, 'stop'), start: command(name, 'start') },
    status: command(name, 'status'),
    health_check: {
      ...{ type: 'command', command: [ctl, name, 'health'] },
      ...{ timeout_seconds: 5, interval_seconds: 1, retries: 2 },
    },
  });
  return {
    ...{ top, small, gates, bin, lay, start, now, ask },
    services: [
      { name: 'cache', body: body('cache', []) },
      { name: 'web', body: body('web', ['cache']) },
      { name: 'batch', body: { ...body('batch', ['cache']), health_check: null } },
    ],
    snapshots: snapshots as Site['snapshots'],
    async stop() {
      await gates.reset();
      await halt();
      await run('umount', ['-l', small]);
    },
  };
}

/** Some files are in both generations, some in one alone, some differ. */
async function makeGeneration(folder: string, generation: Generation): Promise<void> {
  for (const tree of TREES) {
    const files: Record<string, string | Buffer> = {
      generation: `${generation}\n`,
      'same.txt': 'the same in both\n',
      [`sub/only-${generation}.txt`]: generation,
      'sub/deep/data.bin': randomBytes(tree === 'web' ? 1_500_000 : 400_000),
    };
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, tree, name);
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, content);
    }
  }
}
