import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { VerifiedService, VerifyPlan, VerifyResult } from '@tarfleet/contracts';
import { type BackupWorld, failure, openBackupWorld } from '../../testing/backup-world.ts';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld();
  await world.t.db.services.create({
    ...{ serverId: world.serverId, name: 'db', type: 'files', component: 'database', configPaths: [] },
    ...{ dataPaths: ['/srv/db'], exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
  });
});
afterAll(() => world.close());

const AT = '2026-01-02T03:04:05.000Z';
const send = (url: string, body?: object, headers: Record<string, string> = {}) =>
  world.t.ask('POST', url, { token: world.token, headers, ...(body === undefined ? {} : { body }) });
const forms = (id: string) => [`/api/backups/${id}/verify`, `/api/backups/verify/${id}`];

/** Sends it, ends the job with the result, and gives the plan and the answer. */
async function verified(url: string, body: object | undefined, result: VerifyResult) {
  const waiting = send(url, body, { prefer: 'wait=30' });
  const job = await world.running('verify');
  await world.end(job, { result });
  const answer = await waiting;
  return { plan: JSON.parse(job.plan) as VerifyPlan, status: answer.statusCode, body: answer.json(), job };
}

const skipped = 'skipped' as const;
const passed = 'passed' as const;
const quickChecks = {
  ...{ checksum: passed, metadata: passed },
  ...{ contents: skipped, encryption: skipped, compression: skipped },
};
const id = (n: number) => `0190f6c0-0000-7000-8000-${String(n).padStart(12, '0')}`;
const found = (n: number, component: string, change: Partial<VerifiedService> = {}): VerifiedService => ({
  ...{ artifactId: id(n), serviceId: id(n), serviceName: `${component}-${n}`, component },
  ...{ checks: quickChecks, filesVerified: null, missingFiles: null, corruptedFiles: null },
  ...{ restored: skipped, issues: [], ...change },
});
const object = (n: number, component: string, status: 'passed' | 'missing' = 'passed') => ({
  ...{ artifactId: id(n), serviceId: id(n), component, key: `k/${n}`, bytes: 10 * n, status, message: '' },
});
const sound: VerifyResult = {
  ...{ kind: 'verify', level: 'quick', valid: true, narrowed: false, verifiedAt: AT, issues: [] },
  ...{ checks: quickChecks, services: [found(1, 'files'), found(2, 'database')], lacking: [] },
  ...{ damagedAncestors: [], objects: [object(1, 'files'), object(2, 'database')] },
};

test('without a body it is a quick verification of everything, in the words of either document', async () => {
  const backup = await world.backedUp();
  const [first = '', second = ''] = forms(backup);
  const one = await verified(first, undefined, sound);
  expect(one.plan).toMatchObject({ level: 'quick', serviceIds: null, ancestors: [] });
  expect(one.status).toBe(200);
  expect(one.body).toEqual({
    ...{ success: true, message: 'Backup is valid' },
    data: {
      ...{ backupId: backup, isValid: true, filePath: expect.any(String), fileSize: expect.any(Number) },
      ...{ verifyJobId: one.job.id, issues: [] },
    },
  });
  for (const body of [{}, { deep_verification: false, test_restore: false }]) {
    const two = await verified(second, body, sound);
    expect(two.plan).toMatchObject({ level: 'quick', serviceIds: null });
    expect(two.body).toEqual({
      ...{ success: true, message: 'Backup verification completed successfully' },
      data: {
        ...{ backup_id: backup, job_id: two.job.id, verification_level: 'quick' },
        ...{ verification_status: 'passed', verified_at: AT },
        verification_duration_seconds: expect.any(Number),
        checks_performed: {
          ...{ checksum_validation: passed, file_integrity: skipped, encryption_validation: skipped },
          ...{ compression_validation: skipped, metadata_validation: passed, component_completeness: passed },
        },
        components_verified: {
          database: { status: passed, size_verified: 20, checksum_match: true },
          files: { status: passed, size_verified: 10, checksum_match: true },
        },
        issues: [],
        recommendations: [expect.stringContaining('deep_verification')],
      },
    });
  }
});

test('a deep one of some components: what was found, by component', async () => {
  const backup = await world.backedUp();
  const [, url = ''] = forms(backup);
  const counts = { filesVerified: 5, missingFiles: 0, corruptedFiles: 0 };
  const bad = found(2, 'files', {
    ...{ filesVerified: 3, missingFiles: 1, corruptedFiles: 2, issues: ['it is not right'] },
    checks: { ...quickChecks, checksum: 'failed', contents: 'failed' },
  });
  const result: VerifyResult = {
    ...sound,
    ...{ level: 'deep', valid: false, narrowed: true, issues: ['files-2: it is not right'] },
    checks: { ...bad.checks, compression: passed },
    services: [found(1, 'files', counts), bad],
    objects: [object(1, 'files'), object(2, 'files', 'missing')],
    damagedAncestors: [id(7)],
  };
  const body = { deep_verification: true, components: ['files'] };
  const answer = await verified(url, body, result);
  expect(answer.plan).toMatchObject({ level: 'deep', serviceIds: [world.serviceId] });
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({
    ...{ success: true, message: 'Backup verification failed' },
    data: {
      verification_status: 'failed',
      checks_performed: { checksum_validation: 'failed', component_completeness: 'failed' },
      components_verified: {
        files: {
          ...{ status: 'failed', size_verified: 10, checksum_match: false },
          ...{ files_verified: 8, missing_files: 1, corrupted_files: 2 },
        },
      },
      issues: ['files-2: it is not right'],
    },
  });
  expect(answer.body.data.recommendations.join('\n')).toMatch(
    /new full backup(.|\n)*0007(.|\n)*Only the comp/,
  );
  const all = { test_restore: true, components: ['files', 'database'] };
  const whole = await verified(url, all, { ...sound, level: 'test_restore' });
  expect(whole.plan).toMatchObject({ level: 'test_restore', serviceIds: null });
  expect(whole.body.data).toMatchObject({
    verification_level: 'test_restore',
    recommendations: ['Backup is healthy and can be used for restore operations'],
  });
});

test('what a partial backup lacks is said, and that it is not complete', async () => {
  const backup = await world.backedUp();
  const { body } = await verified(forms(backup)[1] ?? '', {}, { ...sound, lacking: ['mail'] });
  expect(body.data).toMatchObject({
    verification_status: 'passed',
    checks_performed: { component_completeness: 'failed' },
  });
  expect(body.data.recommendations.join()).toContain('does not hold mail');
});

test('a manifest that is gone: nothing else was looked at', async () => {
  const backup = await world.backedUp();
  const checks = { ...quickChecks, checksum: skipped, metadata: 'failed' as const };
  const none = { valid: false, issues: ['gone'], checks, services: [], objects: [] };
  const { body } = await verified(forms(backup)[1] ?? '', {}, { ...sound, ...none });
  expect(body.data).toMatchObject({
    ...{ verification_status: 'failed', components_verified: {}, issues: ['gone'] },
    checks_performed: { checksum_validation: skipped, metadata_validation: 'failed' },
  });
  expect(body.data.checks_performed.component_completeness).toBe('failed');
});

test('not waited for it is 202 with what is known', async () => {
  const backup = await world.backedUp();
  const answer = await send(forms(backup)[1] ?? '', { deep_verification: true });
  expect(answer.statusCode).toBe(202);
  const { data } = answer.json();
  expect(answer.headers.location).toBe(`/api/jobs/${data.job_id}`);
  expect(answer.json()).toMatchObject({
    message: 'Backup verification started',
    data: {
      ...{ backup_id: backup, verification_level: 'deep', verification_status: 'in_progress' },
      ...{ verified_at: null, verification_duration_seconds: null, checks_performed: null },
      ...{ components_verified: {}, issues: [], recommendations: [] },
    },
  });
  await world.end(await world.running('verify'), { result: sound });
});

test('what cannot be verified is refused, and a job that failed gives its code', async () => {
  const backup = await world.backedUp();
  for (const url of forms(backup)) {
    for (const body of [
      { level: 'deep' },
      { deep_verification: 'yes' },
      { components: [] },
      { components: [1] },
    ]) {
      const answer = await send(url, body);
      expect([answer.statusCode, answer.json().code]).toEqual([400, 'VALIDATION_FAILED']);
    }
    const unknown = await send(url, { components: ['files', 'zoo'] });
    expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'COMPONENT_NOT_FOUND']);
    expect(unknown.json().message).toMatch(/no component zoo. It holds: database, files/);
    const missing = await send(url.replace(backup, id(1)), {});
    expect([missing.statusCode, missing.json().code]).toEqual([404, 'BACKUP_NOT_FOUND']);
    const waiting = send(url, { deep_verification: true }, { prefer: 'wait=30' });
    await world.end(await world.running('verify'), failure('ENCRYPTION_KEY_NOT_FOUND'));
    expect((await waiting).statusCode).toBe(422);
  }
});

test('document 2’s route is for administrators', async () => {
  const backup = await world.backedUp();
  const { token } = await world.t.as('operator');
  const answer = await world.t.ask('POST', `/api/backups/verify/${backup}`, { token, body: {} });
  expect(answer.statusCode).toBe(403);
});
