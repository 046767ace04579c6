// What a restore would do: as a worker finds it, and as far as the database alone knows it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PreviewPlan, PreviewResult } from '@tarfleet/contracts';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';
import { estimateDowntime, estimateDuration } from './estimate.ts';

let world: BackupWorld;
let backup: string;
let dependentId: string;
beforeAll(async () => {
  world = await openBackupWorld();
  backup = await world.backedUp();
  const { id } = await world.t.db.services.create({
    ...{ serverId: world.serverId, name: 'web', type: 'systemd', component: 'files', configPaths: [] },
    ...{ dataPaths: ['/srv/web'], exclude: [], backupPriority: 0, dependsOn: ['app'] },
    settings: { unit: 'web.service' },
  });
  dependentId = id;
});
afterAll(() => world.close());

const NOTHING = { entries: 0, files: 0, bytes: 0, examples: [] };
const found = (change: Partial<PreviewResult> = {}): PreviewResult => ({
  ...{ kind: 'preview', problems: [], verified: null, warnings: ['said there'] },
  services: [{ id: dependentId, name: 'web', status: 'running', detail: 'active' }],
  parts: [
    {
      ...{ serviceId: world.serviceId, service: 'app', files: 3, bytes: 300 },
      changes: {
        ...{ created: NOTHING, unchanged: NOTHING, deleted: NOTHING, kept: NOTHING },
        overwritten: { entries: 1, files: 1, bytes: 7, examples: ['/srv/app/x'] },
      },
    },
  ],
  ...change,
});
const preview = (query = '', headers: Record<string, string> = {}, token = world.token) =>
  world.t.ask('GET', `/api/backups/${backup}/restore-preview${query}`, { token, headers });
const validate = (body: object, headers: Record<string, string> = {}) =>
  world.t.ask('POST', `/api/backups/${backup}/restore`, {
    ...{ token: world.token, headers, body: { validateOnly: true, ...body } },
  });

test('what the document asks for, and what a worker found', async () => {
  const waiting = preview();
  const job = await world.running('preview');
  const plan = JSON.parse(job.plan) as PreviewPlan;
  expect(plan).toMatchObject({ overwrite: true, verifyIntegrity: false, stopOrder: [[dependentId]] });
  await world.end(job, { result: found() });
  const answer = await waiting;
  expect([answer.statusCode, answer.json().message]).toEqual([200, 'Restore preview generated successfully']);
  const { data } = answer.json();
  expect(data).toMatchObject({
    backup: { id: backup, backupType: 'full', createdAt: expect.any(String), serverName: 'db1' },
    ...{ restoreType: 'full', servicesCount: 1, filesToRestore: 3, bytesToRestore: 300 },
    services: [
      {
        ...{ id: world.serviceId, name: 'app', type: 'files', status: 'none', backupPriority: 0 },
        ...{ configPaths: [], dataPaths: ['/srv/app'], bytesToRestore: 300 },
        changes: { overwritten: { entries: 1, examples: ['/srv/app/x'] } },
      },
    ],
    affectedServices: [{ name: 'web', status: 'running', detail: 'active' }],
    ...{ stopOrder: [['web']], startOrder: [['web']], canRestore: true, problems: [] },
    ...{ warnings: ['said there'], previewJobId: job.id, integrityVerified: null },
    ...{ estimatedDuration: expect.any(Number), estimatedDowntime: null },
  });
});

test('it is no restore: no row, no count, no lease, and another limit', async () => {
  const waiting = preview('?restoreType=selective&selectedServices=app');
  const job = await world.running('preview');
  const real = await world.t.ask('POST', `/api/backups/${backup}/restore`, { token: world.token, body: {} });
  expect(real.statusCode).toBe(202);
  const { restoreJobId } = real.json().data;
  await world.end(job, {
    result: found({ services: [{ id: dependentId, name: 'web', status: 'stopped', detail: '' }] }),
  });
  const { data } = (await waiting).json();
  expect(data).toMatchObject({
    restoreType: 'selective',
    stopOrder: [],
    startOrder: [],
    estimatedDowntime: 0,
  });
  const listed = await world.t.ask('GET', '/api/backups/restore-jobs', { token: world.token });
  expect(listed.json().data.map(({ id }: { id: string }) => id)).toEqual([restoreJobId]);
  expect((await world.t.db.backups.get(backup))?.restoreCount).toBe(0);
  expect((await waiting).headers['ratelimit-limit']).toBe('20');
  expect(real.headers['ratelimit-limit']).toBe('10');
  await world.end({ id: restoreJobId, kind: 'restore' }, { result: restoreResult() });
  expect((await preview('', { prefer: 'wait=0' })).json().data.estimatedDowntime).toBe(0);
});

test('without a worker in time, the look is called off and what only the server knows is null', async () => {
  const answer = await preview('?overwrite=false', { prefer: 'wait=1' });
  expect([answer.statusCode, answer.headers['preference-applied']]).toEqual([200, 'wait=1']);
  const { data } = answer.json();
  expect(data).toMatchObject({
    ...{ canRestore: null, problems: null, filesToRestore: 2, bytesToRestore: 20 },
    services: [{ name: 'app', changes: null }],
    affectedServices: [{ name: 'web', status: null }],
    stopOrder: [['web']],
    warnings: [
      expect.stringMatching(/left as they are/),
      expect.stringMatching(/^No worker has looked at the server in time/),
    ],
  });
  const job = await world.t.db.jobs.get(data.previewJobId);
  expect(job?.cancelRequestedAt).not.toBeNull();
  await world.end(job!, { failure: { code: 'CANCELLED', message: 'x', retryable: false } });

  const part = await preview(`?paths=/srv/app/one&paths=/srv/app/two`, { prefer: 'wait=0' });
  expect(part.json().data).toMatchObject({
    ...{ previewJobId: null, bytesToRestore: null, estimatedDuration: null },
    target: { paths: ['/srv/app/one', '/srv/app/two'], restorePath: null, overwrite: true },
  });
});

test('who may ask, and for what', async () => {
  const { token } = await world.t.as('viewer', world.projectId);
  expect((await preview('', {}, token)).statusCode).toBe(403);
  const codes = ['?selectedServices=app', '?restoreType=selective', '?paths=/a/../b'].map(async (query) => {
    const answer = await preview(query);
    return [answer.statusCode, answer.json().details[0].path];
  });
  expect(await Promise.all(codes)).toEqual([
    [400, 'query/selectedServices'],
    [400, 'query/selectedServices'],
    [400, 'query/paths'],
  ]);
  const unknown = await preview('?restoreType=selective&selectedServices=app,nobody');
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'NOT_FOUND']);
});

test('a restore that is only validated: waited for, found impossible, and not waited for', async () => {
  const waiting = validate({}, { prefer: 'wait=30' });
  const job = await world.running('preview');
  expect(JSON.parse(job.plan)).toMatchObject({ kind: 'preview', verifyIntegrity: true });
  await world.end(job, { result: found({ verified: true }) });
  const answer = await waiting;
  expect([answer.statusCode, answer.headers['ratelimit-limit']]).toEqual([200, '20']);
  expect(answer.json().data).toMatchObject({
    ...{ restoreJobId: job.id, status: 'validated', servicesRestored: [], filesRestored: null },
    preview: { integrityVerified: true, canRestore: true },
  });

  const failing = validate({}, { prefer: 'wait=30' });
  const failure = { code: 'INSUFFICIENT_STORAGE', message: 'No room.', retryable: false } as const;
  await world.end(await world.running('preview'), {
    result: found({ problems: [{ service: 'app', failure }] }),
  });
  expect((await failing).json()).toMatchObject({
    message: 'A restore would fail: No room.',
    data: {
      status: 'invalid',
      preview: { canRestore: false, problems: [{ service: 'app', code: failure.code, message: 'No room.' }] },
    },
  });

  const started = await validate({});
  expect([started.statusCode, started.json().data.status]).toEqual([202, 'pending']);
  expect(started.headers.location).toBe(`/api/jobs/${started.json().data.restoreJobId}`);
  await world.end(await world.running('preview'), { result: found() });
});

test('estimates come from restores before backups, and from nothing comes nothing', () => {
  const at = (seconds: number) => new Date(seconds * 1000);
  const artifacts = [{ contentBytes: 1000, startedAt: at(0), completedAt: at(13) }];
  const restores = [{ bytes: 4000, seconds: 13, downSeconds: 1.5 }];
  expect(estimateDuration(1000, { restores: [], artifacts })).toBe(13);
  expect(estimateDuration(4000, { restores, artifacts })).toBe(13);
  expect(estimateDuration(null, { restores, artifacts })).toBe(null);
  expect(estimateDuration(1000, { restores: [], artifacts: [] })).toBe(null);
  expect(
    estimateDuration(1000, { restores: [], artifacts: [{ ...artifacts[0]!, contentBytes: null }] }),
  ).toBe(null);
  expect([estimateDowntime(false, { restores }), estimateDowntime(true, { restores })]).toEqual([0, 2]);
  expect(estimateDowntime(true, { restores: [] })).toBe(null);
});
