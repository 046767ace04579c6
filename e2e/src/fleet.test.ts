// Twenty backups on three workers while one worker dies, or sleeps past its lock, in the middle of an upload.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { compareTrees, type RunningS3, snapshotTree, testS3 } from '@tarfleet/testbed';
import { downloadObject } from './s3-object.ts';
import { BACKENDS, createWorld, type World } from './world.ts';

const BACKUPS = 20;
/** Enough for several upload parts of 8 MiB. */
const BIG = 80 << 20;
const SMALL = 1 << 20;

let s3: RunningS3;
let world: World | undefined;
beforeAll(async () => {
  s3 = await testS3();
});
afterAll(() => s3.stop());
afterEach(async () => {
  await world?.close();
  world = undefined;
});

describe.each(BACKENDS)('a fleet on %s', (backend) => {
  test.each([
    ['killed', 'SIGKILL'],
    ['frozen past its lock and woken', 'SIGSTOP'],
  ] as const)(
    'completes every backup when a worker is %s in the middle of an upload',
    async (_how, signal) => {
      const bucket = `fleet-${randomBytes(6).toString('hex')}`;
      await s3.createBucket(bucket);
      const { endpoint, region, accessKeyId, secretAccessKey } = s3;
      world = await createWorld(backend, {
        workers: 3,
        destination: { type: 's3', bucket, region, endpoint, accessKeyId, secretAccessKey },
      });
      const { client, dir, stack } = world;
      const server = await world.addServer('source');
      const trees: string[] = [];
      for (let index = 0; index < BACKUPS; index += 1) {
        const tree = join(dir, 'data', `tree ${index}`);
        await mkdir(join(tree, 'inner'), { recursive: true });
        await writeFile(join(tree, 'inner/random'), randomBytes(index < 3 ? BIG : SMALL));
        await writeFile(join(tree, 'text'), `tree ${index}\n`.repeat(1000));
        trees.push(tree);
        await world.addService(server, `service-${index}`, [tree]);
      }

      const ids = await Promise.all(
        trees.map((_tree, index) => world?.startBackup({ services: [`service-${index}`] }) ?? ''),
      );
      const victim = await workerThatUploads(world, s3, bucket);
      process.kill(victim, signal);
      if (signal === 'SIGSTOP') {
        await sleep(8_000);
        process.kill(victim, 'SIGCONT');
      }

      for (const id of ids) {
        const job = await client.ended(id, 240_000);
        expect({ id, state: job.state, failure: job.failure }).toEqual({
          id,
          state: 'completed',
          failure: null,
        });
      }
      const attempts = await attemptsOf(world, ids);
      expect(Math.max(...attempts)).toBeGreaterThan(1);

      await untilOnlyNamedObjects(world, s3, bucket, ids);
      for (const [index, id] of ids.entries()) {
        await expectIdentical(world, s3, bucket, id, trees[index] ?? '');
      }
      if (signal === 'SIGSTOP') {
        const woken = stack.workers.find((worker) => worker.child.pid === victim);
        const fatal = world
          .logs()
          .split('\n')
          .filter((line) => line.includes('"level":60'));
        expect({ exitCode: woken?.child.exitCode, fatal }).toEqual({ exitCode: null, fatal: [] });
      }
    },
    420_000,
  );
});

/** The process of a worker whose upload has stored parts already. */
async function workerThatUploads(world: World, s3: RunningS3, bucket: string): Promise<number> {
  for (let waited = 0; waited < 60_000; waited += 50) {
    const unfinished = (await s3.everything(bucket)).filter((key) => key.endsWith('(unfinished)'));
    for (const key of unfinished) {
      const artifactId = key.split('/').at(-2) ?? '';
      const { data: job } = await world.client.must('GET', `/api/jobs/${artifactId}`);
      const pid = Number(/-(\d+)-[0-9a-f]+$/.exec(job.worker ?? '')?.[1]);
      // Two parts' worth has been read: at least one of them is stored.
      if (pid > 0 && job.progress.bytes_done > 24 << 20 && job.ended_at === null) return pid;
    }
    await sleep(50);
  }
  throw new Error('No upload was seen in the middle.');
}

async function attemptsOf(world: World, ids: string[]): Promise<number[]> {
  const attempts: number[] = [];
  for (const id of ids) {
    const { data } = await world.client.must('GET', `/api/jobs/${id}`);
    attempts.push(
      data.attempt,
      ...data.result.artifacts.map((one: { attempt: number }) => one.attempt % 1000),
    );
  }
  return attempts;
}

/** Waits for the sweep: nothing may stay but what the manifests name. */
async function untilOnlyNamedObjects(
  world: World,
  s3: RunningS3,
  bucket: string,
  ids: string[],
): Promise<void> {
  const named = new Set<string>();
  for (const id of ids) {
    const { data: job } = await world.client.must('GET', `/api/jobs/${id}`);
    named.add(job.result.manifest_key);
    for (const artifact of job.result.artifacts) named.add(artifact.key).add(artifact.index.key);
  }
  let extra: string[] = [];
  for (let tries = 0; tries < 120; tries += 1) {
    const found = await s3.everything(bucket);
    extra = found.filter((key) => !named.has(key));
    if (extra.length === 0) {
      expect(found.sort()).toEqual([...named].sort());
      return;
    }
    await sleep(500);
  }
  throw new Error(
    `Left over:\n${extra.join('\n')}\n${world
      .logs()
      .split('\n')
      .filter((l) => l.includes('sweep'))
      .slice(-20)
      .join('\n')}`,
  );
}

async function expectIdentical(
  world: World,
  s3: RunningS3,
  bucket: string,
  backupId: string,
  tree: string,
): Promise<void> {
  const { data: job } = await world.client.must('GET', `/api/jobs/${backupId}`);
  const target = await mkdtemp(join(world.dir, 'extracted-'));
  const archive = join(target, 'archive.tar.gz');
  await downloadObject(s3, bucket, job.result.artifacts[0].key, archive);
  execFileSync('tar', ['xzpf', archive, '-C', target, '--numeric-owner']);
  expect(compareTrees(await snapshotTree(tree), await snapshotTree(join(target, tree)))).toEqual([]);
  await rm(target, { recursive: true });
}
