import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  compareTrees,
  findTool,
  makeNastyTree,
  makeRealisticTree,
  snapshotTree,
  startSshd,
} from '@tarfleet/testbed';
import type { Client } from '../client.ts';
import { createProgressBar, megabytes } from './progress-bar.ts';

const run = promisify(execFile);
const TREE_BYTES = 300_000_000;

export interface Stage {
  client: Client;
  /** For the stored archives' copies. */
  dir: string;
  /** Where the demo's server keeps its files. */
  home: string;
  say(text: string): void;
  opened: { stop(): Promise<void> }[];
}

/** Backs a server up, breaks it, restores it, and compares every byte and attribute. Throws when anything is not as it was. */
export async function runStory(stage: Stage): Promise<void> {
  const { client, home, say } = stage;
  const table: [string, string][] = [];
  const data = join(home, 'srv/app');
  const config = join(home, 'etc/app');

  say(`2. Making ${TREE_BYTES / 1e6} MB of files, and some with unpleasant names and kinds`);
  await mkdir(data, { recursive: true });
  await mkdir(config, { recursive: true });
  await makeRealisticTree(data, TREE_BYTES, 1);
  await makeNastyTree(config);
  const before = { data: await snapshotTree(data), config: await snapshotTree(config) };

  const serverId = await addServer(stage);
  await addService(client, serverId, 'app-data', 'files', { data_paths: [data] });
  await addService(client, serverId, 'app-config', 'configurations', { config_paths: [config] });

  say('4. Backing up');
  const backupStart = performance.now();
  const { data: accepted } = await client.must('POST', '/api/backups/create', {
    type: 'full',
    encrypt: false,
    description: 'Demo backup',
  });
  const backupJob = await follow(client, accepted.backup_id, 'backup ');
  const backupSeconds = (performance.now() - backupStart) / 1000;
  const { data: backup } = await client.must('GET', `/api/backups/${accepted.backup_id}`);
  if (backup.status !== 'completed')
    throw new Error(`The backup is ${backup.status}: ${JSON.stringify(backup.error)}`);
  const files = backup.services.reduce(
    (sum: number, one: { files_count: number }) => sum + one.files_count,
    0,
  );
  for (const warning of backup.file_warnings) say(`   ${warning.code}: ${warning.message}`);
  table.push(['files', String(files)]);
  table.push(['content', `${megabytes(backup.content_bytes)} MB`]);
  table.push(['stored', `${megabytes(backup.size_bytes)} MB (${backup.compression_ratio} : 1)`]);
  table.push(['backup, verified', rate(backup.content_bytes, backupSeconds)]);
  say(`   ${files} files in ${backupJob.attempt} attempt, ${backup.file_warnings.length} warnings`);

  say('5. Reading one archive with plain tar');
  await checkPlainTar(stage, backup, data, before.data);

  say('6. Verifying what is stored');
  const verifyStart = performance.now();
  const verify = await client.must('POST', `/api/backups/${backup.id}/verify`);
  const verified = await follow(client, verify.data.verifyJobId, 'verify ');
  if (verified.result?.valid !== true) throw new Error(`Not valid: ${JSON.stringify(verified.result)}`);
  table.push(['verify', rate(backup.size_bytes, (performance.now() - verifyStart) / 1000)]);

  say('7. Deleting one half of the files and damaging some of the rest');
  const damaged = await breakTree(data, config);
  say(`   ${damaged}`);

  say('8. Restoring');
  const restoreStart = performance.now();
  const restore = await client.must('POST', `/api/backups/${backup.id}/restore`, {
    restoreType: 'full',
    overwrite: true,
  });
  const restored = await follow(client, restore.data.restoreJobId, 'restore');
  table.push(['restore', rate(backup.content_bytes, (performance.now() - restoreStart) / 1000)]);
  say(`   ${restored.result.files_restored} files restored`);

  say('9. Comparing every byte and attribute');
  const after = { data: await snapshotTree(data), config: await snapshotTree(config) };
  const differences = [
    ...compareTrees(before.data, after.data),
    ...compareTrees(before.config, after.config),
  ];
  if (differences.length > 0) throw new Error(`Not as before:\n${differences.slice(0, 20).join('\n')}`);
  table.push(['compared', `${before.data.length + before.config.length} entries, all equal`]);

  say(`\n${table.map(([name, value]) => `   ${name.padEnd(18)} ${value}`).join('\n')}`);
}

async function addServer({ client, say, opened }: Stage): Promise<string> {
  if (!(await findTool('sshd'))) {
    say('3. No sshd on this machine: the demo backs up the worker’s own host (a `local` server)');
    const { data } = await client.must('POST', '/api/servers', { name: 'demo', kind: 'local' });
    return data.id;
  }
  const sshd = await startSshd();
  opened.push(sshd);
  say(`3. Adding a server: a real sshd at ${sshd.host}:${sshd.port}`);
  const { data } = await client.must('POST', '/api/servers', {
    name: 'demo',
    kind: 'ssh',
    host: sshd.host,
    port: sshd.port,
    username: sshd.username,
    auth: { type: 'private_key', private_key: sshd.privateKey },
    host_key_fingerprint: sshd.fingerprint,
  });
  const test = await client.must('POST', `/api/servers/${data.id}/test`);
  const { result } = await client.ended(test.data.id);
  if (!result?.reachable) throw new Error(`The server cannot be reached: ${JSON.stringify(result)}`);
  say(`   reached as ${result.user}, ${result.tools.tar ?? 'no tar'}`);
  return data.id;
}

async function addService(
  client: Client,
  serverId: string,
  name: string,
  component: string,
  paths: { config_paths?: string[]; data_paths?: string[] },
): Promise<void> {
  const body = { name, type: 'files', component, config_paths: [], data_paths: [], ...paths };
  await client.must('POST', `/api/servers/${serverId}/services`, body);
}

/** Follows a job by its events to its end, which must be a good one. */
async function follow(client: Client, jobId: string, label: string) {
  const bar = createProgressBar();
  try {
    for await (const { event, data } of client.events(jobId)) if (event === 'progress') bar.draw(label, data);
  } finally {
    bar.done();
  }
  const job = await client.ended(jobId);
  if (job.state === 'completed') return job;
  throw new Error(`${label.trim()} ended as ${job.state}: ${JSON.stringify(job.failure ?? job.result)}`);
}

/** The archive is an ordinary tar.gz: GNU tar alone gives the tree back. */
async function checkPlainTar(
  { dir, say }: Stage,
  backup: { services: { name: string; file_path: string }[]; location: string },
  data: string,
  before: Awaited<ReturnType<typeof snapshotTree>>,
): Promise<void> {
  const service = backup.services.find((one) => one.name === 'app-data');
  const root = new URL(backup.location).pathname.replace(/\/project-.*$/, '');
  const archive = join(root, service?.file_path ?? '');
  const target = join(dir, 'plain-tar');
  await mkdir(target);
  await run('tar', ['xzpf', archive, '-C', target, '--numeric-owner']);
  const differences = compareTrees(before, await snapshotTree(join(target, data)));
  if (differences.length > 0)
    throw new Error(`tar xzf gives another tree:\n${differences.slice(0, 10).join('\n')}`);
  say(`   tar xzf of ${service?.file_path.split('/').at(-1)}: ${before.length} entries, all equal`);
  await rm(target, { recursive: true });
}

async function breakTree(data: string, config: string): Promise<string> {
  const { stdout } = await run('find', [data, '-type', 'f', '-print0'], { maxBuffer: 1 << 28 });
  const files = stdout.split('\0').filter(Boolean).sort();
  let deleted = 0;
  let changed = 0;
  for (const [index, file] of files.entries()) {
    if (index % 2 === 0) {
      await rm(file);
      deleted += 1;
    } else if (index % 51 === 1) {
      const bytes = await readFile(file);
      if (index % 2 === 1 && bytes.length > 10) await truncate(file, bytes.length >> 1);
      else await writeFile(file, 'damaged');
      changed += 1;
    }
  }
  await rm(config, { recursive: true });
  return `${deleted} files deleted, ${changed} damaged, the whole configuration removed`;
}

function rate(bytes: number, seconds: number): string {
  return `${seconds.toFixed(1)} s (${megabytes(bytes / seconds)} MB/s)`;
}
