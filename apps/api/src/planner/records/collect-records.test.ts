import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ArtifactPlan, PROJECT_RECORDS, RECORD_KINDS, type RecordsMetadata } from '@tarfleet/contracts';
import { createAuditId } from '@tarfleet/db';
import { openSealed, projectRecordsInfo } from '@tarfleet/vault';
import { openRunFixture, type RunFixture } from '../../testing/run-fixture.ts';
import { planBackup } from '../backup.ts';
import { collectRecords } from './collect-records.ts';

const CANARY = 'canary-of-a-secret';
const DAY_MS = 24 * 3600_000;
let t: RunFixture;

beforeAll(async () => {
  t = await openRunFixture();
  await t.addService(t.server.id, { name: 'web' });
  await t.db.projectMembers.add({ projectId: t.project.id, userId: t.user.id, role: 'operator' });
  await t.db.apiTokens.create({
    ...{ userId: t.user.id, name: 'robot', tokenHash: Buffer.alloc(32, 7), prefix: 'tf_abc' },
    ...{ role: null, expiresAt: null },
  });
});
afterAll(() => t.close());

const audit = async (count: number, daysAgo: number) => {
  const newest = Date.now() - daysAgo * DAY_MS;
  for (let n = 0; n < count; n += 1) {
    const at = new Date(newest - n);
    await t.db.auditLog.add({
      ...{ id: createAuditId(at), at, userId: t.user.id, userEmail: 'a@example.com', via: 'session' },
      ...{ tokenId: null, tokenName: null, action: `test.${daysAgo}`, method: 'POST', route: '/x' },
      ...{ targetType: 'server', targetId: null, projectId: t.project.id, outcome: 'succeeded', status: 200 },
      ...{ errorCode: null, requestId: 'r', ip: '127.0.0.1', details: { n } },
    });
  }
};
const collect = async (limits?: { text: number; packed: number }) => {
  const { packed, ...rest } = await collectRecords(t.db, {
    ...{ projectId: t.project.id, destinationId: t.destination.id, automatic: false, at: new Date() },
    ...(limits ? { limits } : {}),
  });
  const lines = gunzipSync(packed).toString().trimEnd().split('\n');
  const records = lines.map((line) => {
    const [kind = '', json = ''] = line.split(/\t(.*)/s);
    return { kind, row: JSON.parse(json) };
  });
  return { ...rest, packed, records, of: (kind: string) => records.filter((one) => one.kind === kind) };
};

test('a list for each kind, in order, and the metadata of the document at the end', async () => {
  await audit(3, 10);
  await audit(1, 120);
  const found = await collect();
  expect(found.of('servers').map(({ row }) => row.name)).toEqual([t.server.name]);
  expect(found.of('servers')[0]?.row).toMatchObject({ host: 'db1.example.com', sealed: { ct: 'BBBB' } });
  expect(found.of('services')[0]?.row).toMatchObject({ name: 'web', server_id: t.server.id });
  expect(found.of('destinations').map(({ row }) => row.id)).toEqual([t.destination.id]);
  expect(found.of('members').map(({ row }) => row.email)).toEqual([t.user.email]);
  expect(found.of('api_keys')[0]?.row).toMatchObject({ name: 'robot', token_hash: '07'.repeat(32) });
  // The last three months, the newest first.
  expect(found.of('audit_logs').map(({ row }) => row.details.n)).toEqual([0, 1, 2]);
  expect(found.auditLeftOut).toBe(0);
  const last = found.records.at(-1);
  const { metadata, counts } = (last?.row ?? {}) as RecordsMetadata;
  expect(last?.kind).toBe('metadata');
  expect(metadata).toMatchObject({ project_id: t.project.id, project_name: 'alpha', backup_type: 'manual' });
  expect(counts).toEqual(found.summary.counts);
  expect(Object.values(counts).reduce((sum, one) => sum + one, 0)).toBe(found.records.length - 1);
  const order = found.records.map(({ kind }) => [...RECORD_KINDS, 'metadata'].indexOf(kind));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(gunzipSync(found.packed).toString()).not.toContain('passwordHash');
});

test('older rows of the log are left out where there are too many, and counted; nothing else is', async () => {
  await audit(1200, 1);
  const all = (await collect()).summary.counts.audit_logs;
  const some = await collect({ text: 1e9, packed: 4000 });
  expect(some.of('servers')).toHaveLength(1);
  expect(some.summary.counts.audit_logs).toBeGreaterThan(0);
  expect(some.auditLeftOut).toBeGreaterThan(0);
  expect(some.summary.counts.audit_logs + some.auditLeftOut).toBe(all);
  expect(some.records.at(-1)?.row).toMatchObject({ audit_left_out: some.auditLeftOut });
  await expect(collect({ text: 100, packed: 1e9 })).rejects.toMatchObject({ code: 'INSUFFICIENT_STORAGE' });
});

test('they travel in the plan of one job alone, sealed for the pool; the backup says what it holds', async () => {
  const secretCiphertext = t.keys.box.seal('destination:x', { password: CANARY });
  const { id: destinationId } = await t.db.destinations.create({
    ...{ name: 'sealed', type: 'local', config: { path: '/srv/sealed' }, secretCiphertext },
    ...{ retentionDays: null, isDefault: false },
  });
  await t.addServer({ name: 'second', environment: 'canary-environment' });
  const draft = await planBackup(t, t.request({ records: true, destinationId }));
  const plans = [draft.root, ...draft.children].map(({ plan }) => JSON.parse(plan) as ArtifactPlan);
  const [own, ...more] = plans.filter(({ records }) => records !== undefined);
  expect(more).toEqual([]);
  expect(own?.service).toMatchObject({ type: 'records', name: 'project-records' });
  expect(draft.leases).not.toContain(PROJECT_RECORDS.serviceId);
  for (const { plan } of [draft.root, ...draft.children]) {
    expect(plan).not.toContain('canary-environment');
    expect(plan).not.toContain('07'.repeat(32));
    expect(plan).not.toContain(secretCiphertext);
    expect(plan).not.toContain(CANARY);
  }
  const info = projectRecordsInfo({ backupId: draft.root.id, pool: 'default' });
  const packed = await openSealed(t.poolKeys, info, own!.records!);
  const text = gunzipSync(packed).toString();
  expect(text).toContain('canary-environment');
  // Closed as in the database: nobody but the API opens it.
  expect(text).toContain(secretCiphertext);
  expect(text).not.toContain(CANARY);
  await expect(
    openSealed(t.poolKeys, projectRecordsInfo({ backupId: t.server.id, pool: 'default' }), own!.records!),
  ).rejects.toMatchObject({ code: 'SEAL_INVALID' });

  await t.db.transaction((tx) => draft.record(tx));
  const backup = await t.db.backups.get(draft.root.id);
  expect(backup?.artifacts.map(({ serviceName }) => serviceName)).toEqual(['web']);
  expect(backup?.recordsArtifact?.id).toBe(own?.jobId);
  expect(backup?.records?.counts.servers).toBe(2);
  const without = await planBackup(t, t.request());
  expect(without.children).toHaveLength(1);
});
