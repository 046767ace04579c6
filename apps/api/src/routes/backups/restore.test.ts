// A restore's request: for which server it is, who may ask for it, and what a failure answers.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RestorePlan } from '@tarfleet/contracts';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';

let world: BackupWorld;
let backup: string;
beforeAll(async () => {
  world = await openBackupWorld();
  backup = await world.backedUp();
});
afterAll(() => world.close());

const restore = (body: object, token = world.token, headers: Record<string, string> = {}) =>
  world.t.ask('POST', `/api/backups/${backup}/restore`, { token, body, headers });
const otherServer = async (change: object = {}) => {
  const project = await world.t.db.projects.create({ name: `p ${crypto.randomUUID()}` });
  const server = await world.t.db.servers.create({
    ...{ projectId: project.id, name: 'other', kind: 'ssh', host: 'other.example.com', port: 22 },
    ...{ username: 'root', authType: 'private_key', hostKeyFingerprint: 'SHA256:abc', pool: 'far' },
    ...{ becomeMethod: null, jumpId: null, environment: null },
    sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' },
    ...change,
  });
  return { project, server };
};
const planOf = async (id: string) => {
  const job = (await world.t.db.jobs.get(id))!;
  return JSON.parse(job.plan) as RestorePlan;
};
const failure = { code: 'RESTORE_FAILED', retryable: false } as const;
const settle = (id: string) =>
  world.end(
    { id, kind: 'restore' },
    { failure: { ...failure, message: 'x' }, result: restoreResult({ outcome: 'unchanged' }) },
  );

test('the defaults of document 1, and what the plan makes of them', async () => {
  const answer = await restore({ restoreType: 'full' });
  expect([answer.statusCode, answer.json().data.warnings]).toEqual([202, []]);
  const { restoreJobId } = answer.json().data;
  expect(await planOf(restoreJobId)).toMatchObject({
    ...{ rollback: true, keepHours: 24, healthChecks: true, overwrite: true, verifyIntegrity: true },
    server: { id: world.serverId },
  });
  const again = await restore({});
  expect([again.statusCode, again.json().code]).toEqual([409, 'RESTORE_IN_PROGRESS']);
  await settle(restoreJobId);
});

test('to another server, of another project, in its pool', async () => {
  const { project, server } = await otherServer();
  const answer = await restore({ target_server_id: server.id, target_project_id: project.id });
  expect([answer.statusCode, answer.json().target_project_id]).toEqual([202, project.id]);
  const { restoreJobId } = answer.json().data;
  expect(await planOf(restoreJobId)).toMatchObject({ pool: 'far', server: { id: server.id } });
  const { data } = (
    await world.t.ask('GET', `/api/backups/restore-jobs/${restoreJobId}`, { token: world.token })
  ).json();
  expect(data).toMatchObject({ server_id: server.id, server_name: 'other', rollback_expires_at: null });
  await settle(restoreJobId);
});

test('server and project must go together', async () => {
  const { project, server } = await otherServer();
  for (const body of [
    { target_project_id: project.id },
    { target_project_id: world.projectId, target_server_id: server.id },
  ]) {
    const answer = await restore(body);
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'VALIDATION_FAILED']);
    expect(answer.json().details).toMatchObject([{ path: 'body/target_server_id' }]);
  }
  const unknown = await restore({ target_server_id: crypto.randomUUID() });
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'NOT_FOUND']);
});

test('both projects are looked at: the backup’s and the server’s', async () => {
  const { project, server } = await otherServer();
  const body = { target_server_id: server.id };
  const codeFor = async (role: 'operator' | 'viewer', ...projects: number[]) => {
    const { user, token } = await world.t.as('operator', world.projectId);
    for (const projectId of projects)
      await world.t.db.projectMembers.add({ projectId, userId: user.id, role });
    return (await restore(body, token)).statusCode;
  };
  expect(await codeFor('operator')).toBe(404);
  expect(await codeFor('viewer', project.id)).toBe(403);
  const { token } = await world.t.as('operator', project.id);
  expect((await restore(body, token)).json().code).toBe('BACKUP_NOT_FOUND');
  expect(await codeFor('operator', project.id)).toBe(202);
  await settle((await world.running('restore')).id);

  const local = await otherServer({
    ...{ kind: 'local', host: null, port: null, username: null, sealed: null, authType: 'none' },
  });
  const { token: both } = await world.t.as('operator', world.projectId, local.project.id);
  expect((await restore({ target_server_id: local.server.id }, both)).statusCode).toBe(403);
});

test.each([
  ['rolled_back', true],
  ['failed', false],
] as const)('a failure that left it %s has the documented shape', async (outcome, rolledBack) => {
  const waiting = restore({ restoreType: 'full' }, world.token, { prefer: 'wait=30' });
  const job = await world.running('restore');
  const message = 'Service restore failed. System rolled back to previous state.';
  await world.end(job, { failure: { ...failure, message }, result: restoreResult({ outcome }) });
  const answer = await waiting;
  expect(answer.statusCode).toBe(500);
  expect(answer.json()).toEqual({
    ...{ success: false, code: 'RESTORE_FAILED', error: 'Internal Server Error' },
    message: `Restore failed: ${message}`,
    details: { restoreJobId: job.id, job_id: job.id, code: 'RESTORE_FAILED', rolledBack },
  });
});

test('what does not run any more is said though the restore succeeded', async () => {
  const waiting = restore({ restoreType: 'full' }, world.token, { prefer: 'wait=30' });
  await world.end(await world.running('restore'), { result: restoreResult({ notRunning: ['db'] }) });
  const { data } = (await waiting).json();
  expect(data).toMatchObject({ status: 'completed', rolledBack: false });
  expect(data.warnings).toEqual([expect.stringContaining('db')]);
});
