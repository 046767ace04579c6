// What a restore would do, asked over HTTP, of a real server with services that run there; then the restore does it.
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { snapshotTree } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { createWorld, type World } from './world.ts';

jest.setTimeout(240_000);
const run = promisify(execFile);
const WAIT = { prefer: 'wait=60' };
/** Where restores keep their journals on the server, which is this machine. */
const JOURNALS = '/var/lib/tarfleet/restores';

let here: World;
let serverId: string;
let backupId: string;
const at = (path: string): string => join(here.dir, 'data', path);

/** A daemon of few words, as a `command` service with a folder of its own. */
function daemon(name: string) {
  const pid = at(`${name}.pid`);
  const sh = (script: string): { command: string[] } => ({ command: ['sh', '-c', script, name, pid] });
  return {
    type: 'command',
    stop: sh('kill "$(cat "$1")"; rm -f "$1"'),
    start: sh('setsid sleep 3600 </dev/null >/dev/null 2>&1 & echo $! >"$1"'),
    status: sh('[ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null || exit 1'),
  };
}
const order = async (name: string, what: 'start' | 'stop'): Promise<void> => {
  const [program = '', ...args] = daemon(name)[what].command;
  await run(program, args);
};
const pids = () => Promise.all(['db', 'web'].map((name) => readFile(at(`${name}.pid`), 'utf8')));

beforeAll(async () => {
  here = await createWorld('postgres');
  serverId = await here.addServer('box');
  for (const name of ['db', 'web', 'docs']) await mkdir(at(`${name}/sub`), { recursive: true });
  await writeFile(at('db/rows'), 'one');
  await writeFile(at('web/page'), 'hello');
  await writeFile(at('web/sub/old'), 'old');
  await writeFile(at('docs/text'), 'text');
  await here.addService(serverId, 'db', [at('db')], { ...daemon('db'), backup_priority: 7 });
  await here.addService(serverId, 'web', [at('web')], {
    ...{ ...daemon('web'), depends_on: ['db'], exclude: ['*.log'] },
  });
  await here.addService(serverId, 'docs', [at('docs')]);
  for (const name of ['db', 'web']) await order(name, 'start');
  backupId = await here.startBackup();
  expect(await here.client.ended(backupId)).toMatchObject({ state: 'completed' });
  await writeFile(at('web/page'), 'hello, but newer');
  await rm(at('web/sub/old'));
  await writeFile(at('web/added'), '12345');
  await writeFile(at('web/today.log'), 'log');
});
afterAll(async () => {
  for (const name of ['db', 'web']) await order(name, 'stop').catch(() => undefined);
  await here?.close();
});

const preview = async (query = '', headers: Record<string, string> = WAIT) =>
  (await here.client.must('GET', `/api/backups/${backupId}/restore-preview${query}`, undefined, headers))
    .data;
const ofService = (data: Awaited<ReturnType<typeof preview>>, name: string) =>
  data.services.find((one: { name: string }) => one.name === name);
const journals = (): Promise<string[]> => readdir(JOURNALS).catch(() => []);

test('services, order, changes and estimates; the server is as it was', async () => {
  const before = await snapshotTree(at(''));
  const running = await pids();
  const data = await preview();
  expect(data).toMatchObject({
    backup: { id: backupId, serverName: 'box' },
    ...{ restoreType: 'full', servicesCount: 3, canRestore: true, problems: [], warnings: [] },
    ...{ filesToRestore: 4, bytesToRestore: 3 + 5 + 3 + 4, estimatedDowntime: null },
    ...{ stopOrder: [['web'], ['db']], startOrder: [['db'], ['web']] },
  });
  expect(data.estimatedDuration).toBeGreaterThan(0);
  expect(ofService(data, 'db')).toMatchObject({ type: 'command', status: 'running', backupPriority: 7 });
  expect(ofService(data, 'docs')).toMatchObject({ type: 'files', status: 'none', dataPaths: [at('docs')] });
  expect(ofService(data, 'web').changes).toMatchObject({
    created: { entries: 1, files: 1, bytes: 3, examples: [at('web/sub/old')] },
    overwritten: { entries: 1, files: 1, bytes: 5, examples: [at('web/page')] },
    deleted: { entries: 1, files: 1, bytes: 5, examples: [at('web/added')] },
    kept: { entries: 1, examples: [at('web/today.log')] },
    unchanged: { entries: 2, files: 0 },
  });
  expect(await snapshotTree(at(''))).toEqual(before);
  expect(await pids()).toEqual(running);
  expect(await journals()).not.toContain(data.previewJobId);
  const { data: jobs } = await here.client.must('GET', '/api/backups/restore-jobs');
  expect(jobs).toEqual([]);
  const { data: job } = await here.client.must('GET', `/api/jobs/${data.previewJobId}`);
  expect(job.steps.map(({ name }: { name: string }) => name)).toEqual([
    ...['connect', 'services', 'preflight', 'compare', 'preflight', 'compare', 'preflight', 'compare'],
  ]);
});

test('one path, to another folder: nothing has to stop', async () => {
  const to = at('elsewhere');
  const data = await preview(`?paths=${at('web/sub')}&restorePath=${to}`);
  expect(data).toMatchObject({
    ...{ filesToRestore: 1, stopOrder: [], startOrder: [], affectedServices: [], estimatedDowntime: 0 },
    target: { restorePath: to, overwrite: false, serverId },
  });
  const { changes } = ofService(data, 'web');
  expect(changes.created.examples).toEqual([join(to, at('web/sub')), join(to, at('web/sub/old'))]);
  await expect(access(to)).rejects.toThrow();
});

test('a service that does not run is not stopped, and what is damaged or not held is a problem', async () => {
  await order('web', 'stop');
  const [archive] = (await filesBelow(join(here.dir, 'stack/backups'))).filter((path) =>
    path.endsWith('.tar.gz'),
  );
  const file = join(here.dir, 'stack/backups', archive ?? '');
  await rename(file, `${file}.whole`);
  const bytes = await readFile(`${file}.whole`);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const answer = await here.client.request(
    'POST',
    `/api/backups/${backupId}/restore`,
    { restoreType: 'full', validateOnly: true },
    WAIT,
  );
  await rename(`${file}.whole`, file);
  expect([answer.status, answer.body.data.status]).toEqual([200, 'invalid']);
  const { preview: data } = answer.body.data;
  expect(data).toMatchObject({
    ...{ canRestore: false, integrityVerified: false, problems: [{ code: 'BACKUP_CORRUPTED' }] },
    ...{ stopOrder: [['db']], startOrder: [['db']] },
  });
  expect(ofService(data, 'web')).toMatchObject({ status: 'stopped', changes: { created: { entries: 1 } } });
  const missing = await preview(`?paths=${at('web/none')}`);
  expect(missing).toMatchObject({ canRestore: false, problems: [{ code: 'PATH_NOT_FOUND' }] });
  expect(ofService(missing, 'web').changes).toBeNull();
  await order('web', 'start');
});

test('the restore does what was said, and the next preview knows how long that takes', async () => {
  const planned = await preview();
  const { data: started } = await here.client.must('POST', `/api/backups/${backupId}/restore`, {});
  expect(await here.client.ended(started.restoreJobId, 200_000)).toMatchObject({
    ...{ state: 'completed', result: { files_restored: planned.filesToRestore } },
  });
  expect(await filesBelow(at('web'))).toEqual(['page', 'sub/old', 'today.log']);
  expect(await readFile(at('web/page'), 'utf8')).toBe('hello');
  const data = await preview();
  for (const { changes } of data.services) {
    const { created, overwritten, deleted } = changes;
    expect([created.entries, overwritten.entries, deleted.entries]).toEqual([0, 0, 0]);
  }
  expect(data.estimatedDowntime).toBeGreaterThan(0);
  const { data: backup } = await here.client.must('GET', `/api/backups/${backupId}`);
  expect(backup.restore_count).toBe(1);
});

test('without the server, the rest is told', async () => {
  await here.client.must('PATCH', `/api/servers/${serverId}`, {
    ...{ port: 1, auth: { type: 'private_key', private_key: here.sshd.privateKey } },
    host_key_fingerprint: here.sshd.fingerprint,
  });
  const data = await preview();
  expect(data).toMatchObject({
    ...{ canRestore: false, problems: [{ code: 'SERVER_UNREACHABLE' }], filesToRestore: 4 },
    affectedServices: [{ status: null }, { status: null }],
    stopOrder: [['web'], ['db']],
  });
  expect(ofService(data, 'web').changes).toBeNull();
});
