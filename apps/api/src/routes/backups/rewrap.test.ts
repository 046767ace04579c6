import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ArtifactResult } from '@tarfleet/contracts';
import type { JobRecord } from '@tarfleet/db';
import { createRecorder } from '../../recorder/record.ts';
import { artifactResult, attemptOf, backupResult, STARTED, silent } from '../../testing/run-fixture.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let token: string;
const projects: Record<'one' | 'two', number> = { one: 0, two: 0 };
const services: Record<'one' | 'two', string> = { one: '', two: '' };

beforeAll(async () => {
  t = await buildTestApp();
  token = (await t.as('admin')).token;
  await t.db.destinations.create({
    ...{ name: 'main', type: 'local', config: { path: '/srv/backups' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: true },
  });
  for (const name of ['one', 'two'] as const) {
    projects[name] = (await t.db.projects.create({ name })).id;
    services[name] = await addService(projects[name], name === 'one' ? 'default' : 'far');
  }
  await keys('default', ['a', 'b'], 'b');
  await keys('far', ['b', 'c'], 'c');
});
afterAll(() => t.close());

async function addService(projectId: number, pool: string): Promise<string> {
  const { id: serverId } = await t.db.servers.create({
    ...{ projectId, name: `server ${pool} ${crypto.randomUUID()}`, kind: 'ssh', host: 'db1.example.com' },
    ...{ port: 22, username: 'root', authType: 'private_key', hostKeyFingerprint: 'SHA256:abc', pool },
    ...{ becomeMethod: null, jumpId: null, environment: null },
    sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' },
  });
  const service = await t.db.services.create({
    ...{ serverId, name: `service ${crypto.randomUUID()}`, type: 'files', component: 'files' },
    ...{
      configPaths: [],
      dataPaths: ['/srv/app'],
      exclude: [],
      backupPriority: 0,
      dependsOn: [],
      settings: {},
    },
  });
  return service.id;
}

async function keys(pool: string, names: string[], primary: string) {
  const now = new Date().toISOString();
  await t.db.workers.record({
    ...{ v: 1, type: 'heartbeat', workerId: `w-${pool}`, host: 'h', pid: 1, pool, version: '1' },
    ...{ startedAt: now, at: now, stopping: false, jobs: [], keyring: { keys: names, primary } },
  });
}

const record = (job: Pick<JobRecord, 'id' | 'kind'>, result: Parameters<typeof ended>[0]) =>
  createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined }).record(
    attemptOf(job)(1, STARTED, ended(result)),
  );
const ended = (result: ArtifactResult | ReturnType<typeof backupResult> | ReturnType<typeof wrapped>) => ({
  ...{ type: 'ended' as const, state: 'completed' as const, result },
});
const wrapped = (keyName: string) => ({ kind: 'rewrap' as const, archives: 1, changed: 1, keyName });

/** A completed backup, wrapped with this key. */
async function backedUp(project: 'one' | 'two', key: string, more: object = {}): Promise<string> {
  const body = { type: 'full', project_id: projects[project], services: [services[project]], ...more };
  const answer = await t.ask('POST', '/api/backups/create', { token, body });
  expect(answer.statusCode).toBe(202);
  const id: string = answer.json().data.backup_id;
  const { keyPrefix } = (await t.db.backups.get(id))!;
  const artifacts = (await t.db.jobs.children(id)).map((child) => artifactResult(child.id, keyPrefix));
  await record({ id, kind: 'backup' }, backupResult(keyPrefix, { artifacts }));
  await t.db.backups.change(id, { encryptionKeys: [key] });
  return id;
}
const rewrapOf = async (backupId: string): Promise<JobRecord | null> =>
  (await t.db.jobs.unfinishedOf(backupId)).find(({ kind }) => kind === 'rewrap') ?? null;
const one = (id: string, body?: object, headers?: Record<string, string>) =>
  t.ask('POST', `/api/backups/${id}/rewrap`, { token, body, ...(headers ? { headers } : {}) });
const all = (body?: object) => t.ask('POST', '/api/backups/rewrap', { token, body });
const keysOf = async (id: string) => (await t.db.backups.get(id))!.encryptionKeys;

test('for administrators alone', async () => {
  const id = await backedUp('one', 'a');
  const { token: operator } = await t.as('operator', projects.one);
  for (const url of [`/api/backups/${id}/rewrap`, '/api/backups/rewrap']) {
    expect((await t.ask('POST', url, { token: operator })).statusCode).toBe(403);
    const faults = await t.ask('POST', url, { token, body: { key_name: 'A B' } });
    expect(faults.statusCode).toBe(400);
  }
  expect(await rewrapOf(id)).toBeNull();
});

test('one backup: accepted, asked for twice by one key, waited for, refused meanwhile', async () => {
  const id = await backedUp('one', 'a');
  const headers = { 'idempotency-key': `k-${id}` };
  const first = await one(id, {}, headers);
  expect(first.statusCode).toBe(202);
  const jobId = first.json().data.job_id;
  expect(first.headers.location).toBe(`/api/jobs/${jobId}`);
  expect(first.json().data).toEqual({
    backup_id: id,
    job_id: jobId,
    key_name: 'b',
    archives: null,
    changed: null,
  });
  expect((await one(id, {}, headers)).json()).toEqual(first.json());
  const second = await one(id);
  expect([second.statusCode, second.json().details]).toEqual([409, { job_id: jobId }]);
  await record({ id: jobId, kind: 'rewrap' }, wrapped('b'));
  expect(await keysOf(id)).toEqual(['b']);
  const job = (await t.ask('GET', `/api/jobs/${jobId}`, { token })).json().data;
  expect(job).toMatchObject({ kind: 'rewrap', result: { archives: 1, changed: 1, key_name: 'b' } });

  const waiting = one(id, { key_name: 'a' }, { prefer: 'wait=30' });
  let running = await rewrapOf(id);
  while (!running) {
    await sleep(20);
    running = await rewrapOf(id);
  }
  await record(running, wrapped('a'));
  const answer = await waiting;
  expect([answer.statusCode, answer.json().data]).toEqual([
    200,
    expect.objectContaining({ key_name: 'a', archives: 1, changed: 1 }),
  ]);
  expect(await keysOf(id)).toEqual(['a']);
});

test('a failure that was waited for has the status of its code', async () => {
  const id = await backedUp('one', 'a');
  const waiting = one(id, undefined, { prefer: 'wait=30' });
  let running = await rewrapOf(id);
  while (!running) {
    await sleep(20);
    running = await rewrapOf(id);
  }
  const failure = { code: 'ENCRYPTION_KEY_NOT_FOUND', message: 'no key', retryable: false } as const;
  const recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
  await recorder.record(attemptOf(running)(1, STARTED, { type: 'ended', state: 'failed', failure }));
  const answer = await waiting;
  expect([answer.statusCode, answer.json().code]).toEqual([422, 'ENCRYPTION_KEY_NOT_FOUND']);
});

test('a key that not every pool of the backup has is refused', async () => {
  const far = await addService(projects.one, 'far');
  await keys('default', ['a', 'b', 'c'], 'b');
  const id = await backedUp('one', 'b', { services: [services.one, far] });
  // Whichever of the two pools the job itself would run in.
  await keys('far', ['b', 'c', 'd'], 'c');
  for (const [key_name, lacking] of [
    ['a', 'pool far'],
    ['d', 'pool default'],
  ] as const) {
    const answer = await one(id, { key_name });
    expect([answer.statusCode, answer.json().message]).toEqual([422, expect.stringContaining(lacking)]);
  }
  expect((await one(id, { key_name: 'c' })).statusCode).toBe(202);
  await keys('default', ['a', 'b'], 'b');
  await keys('far', ['b', 'c'], 'c');
});

test('all: what needs it is started, the rest is counted', async () => {
  projects.one = (await t.db.projects.create({ name: 'fresh' })).id;
  const project_id = projects.one;
  services.one = await addService(project_id, 'default');
  const begin = (body: object = {}) => all({ project_id, ...body });
  const needs = [await backedUp('one', 'a'), await backedUp('one', 'a')];
  const hidden = await backedUp('one', 'a');
  await t.db.backups.change(hidden, { status: 'hidden' });
  const right = await backedUp('one', 'b');
  const plain = await backedUp('one', 'x', { encrypt: false });
  const gone = await backedUp('one', 'a');
  await t.db.backups.change(gone, { status: 'deleted' });
  const body = { type: 'full', project_id, services: [services.one] };
  const unfinished = (await t.ask('POST', '/api/backups/create', { token, body })).json().data.backup_id;
  await t.db.backups.change(unfinished, { encryptionKeys: ['a'] });
  const other = await backedUp('two', 'b');

  const first = await begin();
  expect(first.statusCode).toBe(202);
  const { jobs, ...counts } = first.json().data;
  expect(counts).toEqual({ started: 3, running: 3, remaining: 1, key_names: ['b'], refused: [] });
  expect(jobs).toEqual(
    await Promise.all(
      [...needs, hidden].map(async (id) => ({ backup_id: id, job_id: (await rewrapOf(id))?.id })),
    ),
  );
  for (const id of [...needs, hidden]) {
    expect(await keysOf(id)).toEqual(['a', 'b']);
    await record((await rewrapOf(id))!, wrapped('b'));
    expect(await keysOf(id)).toEqual(['b']);
  }
  for (const id of [right, plain, gone, unfinished, other]) expect(await rewrapOf(id)).toBeNull();
  expect((await begin()).json().data).toMatchObject({ started: 0, running: 0, remaining: 1 });
  const { keyPrefix } = (await t.db.backups.get(unfinished))!;
  const artifacts = (await t.db.jobs.children(unfinished)).map((child) =>
    artifactResult(child.id, keyPrefix),
  );
  await record({ id: unfinished, kind: 'backup' }, backupResult(keyPrefix, { artifacts }));
  expect((await begin()).json().data).toMatchObject({ started: 1, running: 1, remaining: 0 });

  // A key that one of the pools lacks: nothing is started anywhere.
  const lacks = await all({ key_name: 'a' });
  expect([lacks.statusCode, lacks.json().message]).toEqual([422, expect.stringContaining('pool far')]);
  expect(await rewrapOf(right)).toBeNull();
  const everywhere = await all();
  expect(everywhere.json().data).toMatchObject({ remaining: 0, key_names: ['b', 'c'] });
  expect(JSON.parse((await rewrapOf(other))!.plan)).toMatchObject({ pool: 'far', to: 'c' });
  expect((await begin({ project_id: 999_999 })).statusCode).toBe(404);
});

test('more than one request may start: the rest comes with the next', async () => {
  projects.one = (await t.db.projects.create({ name: 'many' })).id;
  const project_id = projects.one;
  services.one = await addService(project_id, 'default');
  const model = (await t.db.backups.get(await backedUp('one', 'a')))!;
  await t.db.transaction(async (tx) => {
    for (let n = 0; n < 104; n += 1) {
      const id = `0190f6c0-0000-7000-8000-${String(n).padStart(12, '0')}`;
      const { projectId, destinationId } = model;
      await tx.backups.create({
        ...{
          id,
          projectId,
          destinationId: destinationId!,
          createdBy: null,
          scheduleId: null,
          name: null,
          description: null,
        },
        ...{
          type: 'full',
          dialect: 'botserver',
          keyPrefix: `p/${id}`,
          compressed: true,
          compressionLevel: 6,
          deduplicated: false,
        },
        ...{
          verifyRequested: false,
          encrypted: true,
          encryptionKeys: ['a'],
          retentionDays: null,
          warnings: [],
        },
        ...{ createdAt: new Date(), artifacts: [] },
      });
      await tx.backups.change(id, { status: 'completed', manifestSha256: 'b'.repeat(64) });
      await tx.jobs.create([
        {
          ...{ id, kind: 'backup', pool: 'default', projectId, userId: null, backupId: id, parentId: null },
          ...{ requestId: 'r', plan: '{}' },
        },
      ]);
      await tx.jobs.change(id, { state: 'completed', endedAt: new Date() });
    }
  });
  const begin = async () => (await all({ project_id })).json().data;
  expect(await begin()).toMatchObject({ started: 100, running: 100, remaining: 5 });
  expect(await begin()).toMatchObject({ started: 5, running: 105, remaining: 0, refused: [] });
  expect(await begin()).toMatchObject({ started: 0, running: 105, remaining: 0 });
});
