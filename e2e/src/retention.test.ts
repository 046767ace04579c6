// Retention on real processes, killed at every removal: no backup that is there loses anything, and what goes is gone.
import { randomBytes } from 'node:crypto';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, jest, test } from '@jest/globals';
import {
  compareTrees,
  type FaultProxy,
  makeNastyTree,
  type RunningS3,
  snapshotTree,
  startFaultProxy,
  startS3,
} from '@tarfleet/testbed';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
/** Five backups, and a process that dies and is replaced at each of their removals. */
jest.setTimeout(900_000);
let world: World | undefined;
let proxy: FaultProxy | undefined;
let s3: RunningS3 | undefined;
afterEach(async () => {
  await world?.close();
  await proxy?.stop();
  await s3?.stop();
}, 60_000);

test('workers and API processes killed at each removal of a retention run', async () => {
  s3 = await startS3();
  const bucket = `retention-${randomBytes(6).toString('hex')}`;
  await s3.createBucket(bucket);
  proxy = await startFaultProxy(s3.endpoint);
  const { region, accessKeyId, secretAccessKey } = s3;
  const here = await createWorld('postgres', {
    destination: { type: 's3', bucket, region, endpoint: proxy.url, accessKeyId, secretAccessKey },
    apiEnv: { RETENTION_EVERY_MS: '300' },
  });
  world = here;
  const everything = async (): Promise<string[]> => (await s3?.everything(bucket)) ?? [];
  let { client } = here;
  const { data: projects } = await client.must('GET', '/api/projects');
  const policy = `/api/projects/${projects[0].id}/retention`;
  // Under a policy new backups have no days of their own.
  await client.must('PUT', policy, { keep_last: 100 });

  const tree = join(here.dir, 'data/site');
  await makeNastyTree(tree);
  await here.addService(await here.addServer('source'), 'site', [tree]);
  const backUp = async (type: string): Promise<string> => {
    // Beyond what counts as just changed.
    await sleep(3_100);
    await appendFile(join(tree, 'hard-1'), type);
    const answer = await client.request('POST', '/api/backups/create', { type }, WAIT);
    expect(answer.body).toMatchObject({ success: true, data: { status: 'completed' } });
    return answer.body.data.backup_id;
  };
  const going = [await backUp('full'), await backUp('incremental'), await backUp('incremental')];
  const hidden = await backUp('full');
  const newest = await backUp('incremental');
  const before = await snapshotTree(tree);
  const of = (keys: string[], ...ids: string[]) => keys.filter((key) => ids.some((id) => key.includes(id)));
  const kept = of(await everything(), hidden, newest).sort();
  const toGo = of(await everything(), ...going);
  expect(kept.length).toBeGreaterThanOrEqual(8);
  expect(toGo.length).toBeGreaterThanOrEqual(12);

  // Each removal is met once: its worker dies before it is carried out, or after that and before the answer.
  const met = new Set<string>();
  const foreign: string[] = [];
  let arrived: (() => void) | undefined;
  proxy.decide = ({ method, url }) => {
    if (method !== 'DELETE') return 'pass';
    const key = decodeURIComponent(url.split('?')[0] ?? '').slice(bucket.length + 2);
    if (!toGo.includes(key)) foreign.push(key);
    if (met.has(key)) return 'pass';
    met.add(key);
    arrived?.();
    return met.size % 2 === 0 ? 'hang' : 'keep-answer';
  };
  const plan = (await client.must('GET', `${policy}/preview`)).data;
  expect(plan.totals).toEqual({ keep: 5, hide: 0, delete: 0 });
  let worker = here.stack.workers[0];
  let api = here.stack.api;
  let kills = 0;
  const removal = (): Promise<void> =>
    new Promise((resolve) => {
      arrived = resolve;
    });
  let next = removal();
  await client.must('PUT', policy, { keep_last: 1 });
  while (met.size < toGo.length) {
    await Promise.race([
      next,
      expired(60_000, () => `${met.size} of ${toGo.length} removals, ${kills} kills`),
    ]);
    next = removal();
    // What was let through is carried out before its worker dies.
    await sleep(100);
    worker?.child.kill('SIGKILL');
    if (kills % 4 === 1) {
      api.child.kill('SIGKILL');
      const added = await here.stack.addApi();
      api = added.process;
      client = client.at(added.url);
    }
    kills += 1;
    expect(of(await everything(), hidden, newest).sort()).toEqual(kept);
    worker = await here.stack.addWorker();
  }
  expect(kills).toBeGreaterThanOrEqual(toGo.length - 2);
  const end = Date.now() + 120_000;
  while (of(await everything(), ...going).length > 0 && Date.now() < end) await sleep(200);
  expect(of(await everything(), ...going)).toEqual([]);
  expect(foreign).toEqual([]);
  expect(of(await everything(), hidden, newest).sort()).toEqual(kept);

  // The run hides it after the others have begun to go.
  const listed = async (): Promise<string[]> =>
    (await client.must('GET', '/api/backups/list')).data.backups.map(({ id }: { id: string }) => id);
  while ((await listed()).length > 1 && Date.now() < end) await sleep(200);
  expect(await listed()).toEqual([newest]);
  const verified = await client.request(
    'POST',
    `/api/backups/${newest}/verify`,
    { deep_verification: true },
    WAIT,
  );
  expect(verified.body).toMatchObject({ data: { isValid: true } });
  const out = join(here.dir, 'data/out');
  const restored = await client.request('POST', `/api/backups/${newest}/restore`, { restorePath: out }, WAIT);
  expect(restored.status).toBe(200);
  expect(compareTrees(before, await snapshotTree(join(out, tree)))).toEqual([]);
  await rm(out, { recursive: true });

  const { data: rows } = await client.must('GET', '/api/audit?action=retention.&limit=100');
  const told = (id: string) =>
    rows
      .filter((row: { target_id: string }) => row.target_id === id)
      .map((row: { action: string }) => row.action);
  expect(told(hidden)).toEqual(['retention.hide']);
  for (const id of going) expect(told(id).join()).toMatch(/retention\.(delete|hide)/);
  expect(told(newest)).toEqual([]);
});

async function expired(ms: number, what: () => string): Promise<never> {
  await sleep(ms, undefined, { ref: false });
  throw new Error(`Nothing was removed for ${ms} ms: ${what()}`);
}
