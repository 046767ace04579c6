import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { artifactObjectName, parseManifest } from '@tarfleet/archive';
import type { ArtifactResult, BackupPlan, BackupResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import type { Outcome } from '../job-context.ts';
import { keepingReporter, openTestStorage, silent, type TestDelivery, uuid } from '../testing.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { createBackupProcessor } from './backup.ts';

const PREFIX = 'project-1/2026-01-01/backup';
const MANIFEST = `${PREFIX}/manifest.json`;
const { signal: never } = new AbortController();
let t: Awaited<ReturnType<typeof openTestStorage>>;
beforeEach(async () => {
  t = await openTestStorage();
});
afterEach(() => t.close());

type Children = Awaited<ReturnType<TestDelivery['childOutcomes']>>;
type Entry = [string, { ok: true; result: unknown } | { ok: false; reason: string }];

const plan = (verify = true): BackupPlan => ({
  ...{ v: 1, kind: 'backup', jobId: uuid(1), pool: 'default', projectId: 1, requestId: 'r' },
  ...{
    issuedAt: '2026-01-01T00:00:00.000Z',
    backupType: 'full',
    name: null,
    createdAt: '2026-01-01T00:00:00.000Z',
  },
  ...{ destination: t.target, keyPrefix: PREFIX, verify, compression: { enabled: true, level: 6 } },
  encryption: null,
  artifacts: [10, 20].map((n) => ({
    ...{ jobId: uuid(n), pool: 'default', serverId: uuid(5), serverName: 'db1' },
    service: {
      ...{ id: uuid(n + 1), name: `service ${n}`, type: 'files', component: 'files' },
      ...{ configPaths: [], dataPaths: [`/srv/${n}`], exclude: [] },
    },
  })),
});

async function stored(n: number, attempt = 1001): Promise<ArtifactResult> {
  const key = `${PREFIX}/${artifactObjectName(uuid(n), attempt, 'abcdefabcdef')}`;
  const body = Buffer.from(`archive ${n}`);
  await t.storage.put(key, Readable.from([body]), { signal: never });
  return {
    ...{ kind: 'artifact', artifactId: uuid(n), attempt, key, storedBytes: body.length },
    ...{ sha256: createHash('sha256').update(body).digest('hex'), tarBytes: 40, contentBytes: 20, files: 1 },
    ...{ directories: 0, otherEntries: 0, warnings: 0, index: null, parent: null, ancestors: [] },
    ...{ startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:01.000Z' },
  };
}
const ok = (result: ArtifactResult): Entry => [result.artifactId, { ok: true, result }];
const bad = (n: number, code: string, message = 'it broke'): Entry => [
  uuid(n),
  { ok: false, reason: JSON.stringify({ code, message, retryable: true }) },
];

interface RunOptions {
  verify?: boolean;
  signal?: AbortSignal;
  assertOwned?: () => Promise<void>;
  storage?: (real: Storage) => Storage;
}

async function run(
  children: Children,
  options: RunOptions = {},
): Promise<Outcome & { result: BackupResult }> {
  const { report } = keepingReporter();
  const { storage = (real) => real, assertOwned = async () => undefined } = options;
  const processor = createBackupProcessor({
    openStorage: async () => storage(t.open()),
  } as unknown as WorkerDeps);
  try {
    const outcome = await processor({
      plan: plan(options.verify),
      delivery: { attempt: 1001, token: 'abcdefabcdef', assertOwned, childOutcomes: async () => children },
      signal: options.signal ?? never,
      ...{ report, progress: () => undefined, log: silent },
    });
    return outcome as Outcome & { result: BackupResult };
  } finally {
    await report.flush();
  }
}

async function manifest() {
  const chunks: Buffer[] = [];
  for await (const chunk of await t.storage.get(MANIFEST, { signal: never })) chunks.push(chunk as Buffer);
  return parseManifest(Buffer.concat(chunks));
}

test('all archives there: the manifest names each, and its hash is the one given back', async () => {
  const done = [await stored(10), await stored(20, 1002)];
  const { state, result } = await run(new Map(done.map(ok)));
  expect(state).toBe('completed');
  expect(result).toMatchObject({
    manifestKey: MANIFEST,
    failed: [],
    verifiedAt: expect.any(String),
    artifacts: done,
  });
  const written = await manifest();
  expect(written.artifacts.map(({ object }) => `${PREFIX}/${object.name}`)).toEqual(
    done.map(({ key }) => key),
  );
  expect(await t.keys(PREFIX)).toEqual([...done.map(({ key }) => key), MANIFEST].sort());
});

test('a second attempt adopts what the first one committed, whatever the children say now', async () => {
  const done = [await stored(10), await stored(20)];
  const first = await run(new Map(done.map(ok)));
  const again = await run(new Map());
  expect(again).toEqual(first);
  expect(await t.keys(PREFIX)).toHaveLength(3);
});

test('a manifest that appears between the look and the write is adopted, and nothing is removed', async () => {
  const done = [await stored(10), await stored(20)];
  const children = new Map(done.map(ok));
  const { state, result } = await run(children, {
    storage: (real) => ({
      ...real,
      async create(key, body, signal) {
        await real.create(key, body, signal);
        // The answer got lost and the request was sent again.
        await real.create(key, body, signal);
      },
    }),
  });
  expect(state).toBe('completed');
  expect(result.artifacts).toEqual(done);
  expect(await t.keys(PREFIX)).toHaveLength(3);
});

test('one of two failed: partial, and adopted as partial', async () => {
  const one = await stored(10);
  const children: Children = new Map([ok(one), bad(20, 'PATH_NOT_FOUND', 'no /srv')]);
  const { state, result } = await run(children);
  expect(state).toBe('partial');
  expect(result.artifacts).toEqual([one]);
  const failure = { code: 'PATH_NOT_FOUND', message: 'no /srv', retryable: false };
  expect(result.failed).toEqual([
    { artifactId: uuid(20), serviceId: uuid(21), serviceName: 'service 20', failure },
  ]);
  expect(await run(children)).toEqual({ state: 'partial', result });
});

test('a child that left no word, or none of ours, was lost', async () => {
  const one = await stored(10);
  const children: Children[] = [
    new Map([ok(one)]),
    new Map([ok(one), [uuid(20), { ok: false, reason: 'job stalled more than allowable limit' }]]),
    new Map([ok(one), [uuid(20), { ok: true, result: { kind: 'artifact' } }]]),
  ];
  for (const each of children) {
    const { result } = await run(each);
    expect(result.failed[0]?.failure.code).toBe('WORKER_LOST');
    await t.storage.delete(MANIFEST, never);
  }
});

test("nothing succeeded: the first fault is the backup's, and nothing is left", async () => {
  await stored(10);
  await expect(
    run(new Map([bad(10, 'SERVER_UNREACHABLE'), bad(20, 'PATH_NOT_FOUND')])),
  ).rejects.toMatchObject({
    ...{ code: 'SERVER_UNREACHABLE', retryable: false },
  });
  expect(await t.keys(PREFIX)).toEqual([]);
});

test('that paths are missing is said of the backup only where it is so of every service', async () => {
  const both = run(new Map([bad(10, 'PATH_NOT_FOUND'), bad(20, 'SERVER_UNREACHABLE')]));
  await expect(both).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE', message: 'service 20: it broke' });
  const none = run(new Map([bad(10, 'PATH_NOT_FOUND'), bad(20, 'PATH_NOT_FOUND')]));
  await expect(none).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
});

test('an archive that is not what was stored does not get into the manifest', async () => {
  const done = [await stored(10), await stored(20)];
  await writeFile(join(t.path, done[1]!.key), 'archivE 20');
  const { state, result } = await run(new Map(done.map(ok)));
  expect(state).toBe('partial');
  expect(result.failed[0]).toMatchObject({
    artifactId: uuid(20),
    failure: { code: 'BACKUP_VERIFICATION_FAILED' },
  });
  expect((await manifest()).artifacts).toHaveLength(1);
});

test('every archive damaged: the backup fails; without verification nobody looks', async () => {
  const done = [await stored(10), await stored(20)];
  for (const { key } of done) await writeFile(join(t.path, key), 'archivE xx');
  const children = new Map(done.map(ok));
  const unseen = await run(children, { verify: false });
  expect(unseen).toMatchObject({ state: 'completed', result: { verifiedAt: null } });
  await t.storage.delete(MANIFEST, never);
  await expect(run(children)).rejects.toMatchObject({ code: 'BACKUP_VERIFICATION_FAILED' });
  expect(await t.keys(PREFIX)).toEqual([]);
});

test('a cancelled backup leaves nothing; one that is there already stays', async () => {
  const done = [await stored(10), await stored(20)];
  const children = new Map(done.map(ok));
  await run(children);
  const signal = AbortSignal.abort(new AppError('CANCELLED', 'asked to'));
  await expect(run(children, { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await t.keys(PREFIX)).toHaveLength(3);
  await t.storage.delete(MANIFEST, never);
  await expect(run(new Map([ok(done[0]!), bad(20, 'CANCELLED')]))).rejects.toMatchObject({
    code: 'CANCELLED',
  });
  expect(await t.keys(PREFIX)).toEqual([]);
});

test('an attempt that may be followed by another removes nothing', async () => {
  const done = [await stored(10), await stored(20)];
  const children = new Map(done.map(ok));
  for (const code of ['WORKER_STOPPING', 'ATTEMPT_SUPERSEDED'] as const) {
    const signal = AbortSignal.abort(new AppError(code, 'why'));
    await expect(run(children, { signal })).rejects.toMatchObject({ code });
  }
  const away = new AppError('DESTINATION_UNREACHABLE', 'away', { retryable: true });
  const storage = (real: Storage): Storage => ({ ...real, create: () => Promise.reject(away) });
  await expect(run(children, { storage })).rejects.toBe(away);
  expect(await t.keys(PREFIX)).toHaveLength(2);
});

test('an attempt that has lost its job neither commits nor removes', async () => {
  const done = [await stored(10), await stored(20)];
  const assertOwned = () => Promise.reject(new AppError('ATTEMPT_SUPERSEDED', 'lost'));
  await expect(run(new Map(done.map(ok)), { assertOwned })).rejects.toMatchObject({
    code: 'ATTEMPT_SUPERSEDED',
  });
  await expect(run(new Map([bad(10, 'COMMAND_FAILED')]), { assertOwned })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
  });
  expect(await t.keys(PREFIX)).toHaveLength(2);
});
