import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createLogger } from '@tarfleet/kernel';
import { startStack } from '@tarfleet/stack';
import { prepareRealServices, type RealService, startSshd } from '@tarfleet/testbed';
import { type Bench, figure } from '../bench.ts';
import { signIn } from '../client.ts';
import { startBenchPostgres } from '../postgres.ts';
import { table } from '../table.ts';
import { untilEnded } from '../until-ended.ts';
import { watchOutage } from './outage.ts';

const FILES = 100_000;
const FOLDERS = 1_000;
const PASSWORD = 'bench-password';
const run = promisify(execFile);

export const restoreBench: Bench = {
  name: 'restore',
  about: 'how long nginx does not answer while a tree of 100,000 files is restored, against tar in place',
  async run(context) {
    const { say, signal } = context;
    const dir = await context.folder();
    const real = await prepareRealServices();
    context.own({ stop: () => real.remove() });
    const { nginx } = real;
    const tree = join(real.dir, 'www');
    say(`Writing ${FILES} files`);
    await writeTree(tree);
    const sshd = context.own(await startSshd());
    const postgres = context.own(await startBenchPostgres(dir));
    const stack = context.own(
      await startStack({
        dir: join(dir, 'stack'),
        logger: createLogger({ level: 'silent', process: 'bench' }),
        ...{ port: 0, workers: 1, localRoots: [dir], adminEmail: 'bench@localhost', adminPassword: PASSWORD },
        databaseUrl: await postgres.database('tarfleet'),
        queueUrl: await postgres.database('tarfleet_queue'),
        ...{ apiEnv: context.processEnv, workerEnv: context.processEnv },
      }),
    );
    const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
    context.own({ stop: async () => client.close() });
    const server = await client.call('POST', '/api/servers', {
      ...{ name: 'server', kind: 'ssh', host: sshd.host, port: sshd.port, username: sshd.username },
      auth: { type: 'private_key', private_key: sshd.privateKey },
      host_key_fingerprint: sshd.fingerprint,
    });
    const url = `http://127.0.0.1:${nginx.port}/`;
    await client.call('POST', `/api/servers/${server.data.id}/services`, {
      ...{ name: 'web', type: 'command', component: 'files', data_paths: [tree] },
      stop: { command: nginx.runner.stop.argv },
      start: { command: nginx.runner.start.argv },
      status: { command: nginx.runner.status.argv },
      health_check: { type: 'http', url },
    });
    const backup = await client.call('POST', '/api/backups/create', {
      ...{ type: 'full', encrypt: false, verify: false },
    });
    await untilEnded(client, backup.data.backup_id, signal);
    const archive = join(dir, 'tree.tar.gz');
    await run('tar', ['--create', '--gzip', `--file=${archive}`, `--directory=${real.dir}`, 'www']);

    await once(spawn(nginx.runner.start.argv[0] ?? '', nginx.runner.start.argv.slice(1)), 'exit');
    await damage(tree);
    let seconds = 0;
    let restoreId = '';
    const ours = await watchOutage(url, async () => {
      const path = `/api/backups/${backup.data.backup_id}/restore`;
      const restore = await client.call('POST', path, { restoreType: 'full' });
      restoreId = restore.data.restoreJobId;
      seconds = await untilEnded(client, restoreId, signal);
    });
    say(
      `Restored in ${seconds.toFixed(1)} s; nginx did not answer for ${ours.seconds.toFixed(2)} s (${ours.failed} requests)`,
    );

    const { data } = await client.call('GET', `/api/backups/restore-jobs/${restoreId}`);
    const rows = data.audit_logs.map((one: { step_name: string; duration_ms: number }) => [
      one.step_name,
      one.duration_ms,
    ]);
    say(`\n${table(['step', 'ms'], rows)}\n`);

    await damage(tree);
    const other = await watchOutage(url, async () => {
      await stopped(nginx);
      await run('tar', ['--extract', '--gzip', `--file=${archive}`, `--directory=${real.dir}`]);
      await once(spawn(nginx.runner.start.argv[0] ?? '', nginx.runner.start.argv.slice(1)), 'exit');
    });
    say(`With tar in place it did not answer for ${other.seconds.toFixed(2)} s (${other.failed} requests)`);
    return [
      figure('restore', 'nginx-down-seconds', ours.seconds, other.seconds),
      figure('restore', 'nginx-failed-requests', ours.failed, other.failed),
    ];
  },
};

async function writeTree(tree: string): Promise<void> {
  for (let folder = 0; folder < FOLDERS; folder += 1) {
    const here = join(tree, `d${folder % 10}`, `f${folder}`);
    await mkdir(here, { recursive: true });
    const names = Array.from({ length: FILES / FOLDERS }, (_, at) => join(here, `page-${at}.html`));
    await Promise.all(names.map((name) => writeFile(name, `<p>${name}</p>\n`.repeat(20))));
  }
}

/** Something to restore. */
async function damage(tree: string): Promise<void> {
  for (let folder = 0; folder < FOLDERS; folder += 10) {
    await appendFile(join(tree, `d${folder % 10}/f${folder}/page-0.html`), 'changed');
  }
}

/** As a careful operator would: told to stop, and waited for. */
async function stopped({ runner, pid }: RealService): Promise<void> {
  await run(runner.stop.argv[0] ?? '', runner.stop.argv.slice(1));
  while ((await pid()) !== null) await sleep(10);
}
