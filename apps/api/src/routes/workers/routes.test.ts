import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Heartbeat } from '@tarfleet/contracts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
const jobId = '01890000-0000-7000-8000-000000000001';

beforeAll(async () => {
  t = await buildTestApp();
  const beat = (workerId: string, ageMs: number, change: Partial<Heartbeat> = {}): Heartbeat => ({
    v: 1,
    type: 'heartbeat',
    workerId,
    host: 'h1',
    pid: 7,
    pool: 'default',
    version: '0.1.0',
    startedAt: new Date(Date.now() - 3_600_000).toISOString(),
    at: new Date(Date.now() - ageMs).toISOString(),
    stopping: false,
    keyring: { keys: [], primary: null },
    jobs: [],
    ...change,
  });
  const since = new Date().toISOString();
  await t.db.workers.record(beat('alive', 0, { jobs: [{ jobId, kind: 'artifact', since }] }));
  await t.db.workers.record(beat('stopping', 0, { stopping: true }));
  await t.db.workers.record(beat('lost', 120_000));
  await t.db.workers.record(beat('long gone', 3 * 24 * 3_600_000));
});
afterAll(() => t.close());

test('who is alive, in which pool, doing what', async () => {
  const { token } = await t.as('admin');
  const answer = await t.ask('GET', '/api/workers', { token });
  const { data, total } = answer.json();
  expect(total).toBe(3);
  const states = Object.fromEntries(data.map((one: { id: string; state: string }) => [one.id, one.state]));
  expect(states).toEqual({ alive: 'alive', stopping: 'stopping', lost: 'lost' });
  const alive = data.find((one: { id: string }) => one.id === 'alive');
  expect(alive).toMatchObject({ pool: 'default', jobs_running: 1, jobs: [{ id: jobId, kind: 'artifact' }] });
});

test('others see that work is done, not whose', async () => {
  const { token } = await t.as('operator');
  const answer = await t.ask('GET', '/api/workers', { token });
  expect(answer.body).not.toContain(jobId);
  const alive = answer.json().data.find((one: { id: string }) => one.id === 'alive');
  expect(alive).toMatchObject({ jobs_running: 1, jobs: [] });
});
