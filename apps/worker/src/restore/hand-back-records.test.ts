import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openCodec, parseManifest } from '@tarfleet/archive';
import {
  type ArtifactPlan,
  type ArtifactResult,
  type BackupPlan,
  type BackupResult,
  type HandedRecord,
  PROJECT_RECORDS,
  RECORD_KINDS,
  RECORDS_EVENT_BYTES,
  type RestorePlan,
} from '@tarfleet/contracts';
import { createDeps } from '../deps.ts';
import { createArtifactProcessor } from '../processors/artifact.ts';
import { createBackupProcessor } from '../processors/backup.ts';
import { keepingReporter, openTestStorage, silent, uuid } from '../testing.ts';
import { keyring } from '../verification/testing-world.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { handBackRecords } from './hand-back-records.ts';

const AT = '2026-01-01T00:00:00.000Z';
const never = new AbortController().signal;
const run = promisify(execFile);
const backupId = uuid(100);
const keyPrefix = `project-1/2026-01-01/${backupId}`;
const { serviceId, serviceName: name, serverId, serverName, component, type } = PROJECT_RECORDS;

let stored: Awaited<ReturnType<typeof openTestStorage>>;
let dir: string;
beforeEach(async () => {
  stored = await openTestStorage();
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-records-'));
});
afterEach(async () => {
  await stored.close();
  await rm(dir, { recursive: true });
});

/** Three services, a log of so many rows, and nothing else but the metadata. */
function someRecords(rows: number): HandedRecord[] {
  const records: HandedRecord[] = [];
  for (const [at, wide] of ['ä', 'two\\nlines', 'x'.repeat(200_000)].entries()) {
    const row = { id: uuid(at), server_id: uuid(50), name: `s${at}`, type: 'files', settings: { wide } };
    records.push(['services', JSON.stringify(row)]);
  }
  for (let n = 0; n < rows; n += 1) {
    records.push(['audit_logs', `{"id": "${uuid(1000 + n)}", "at": "${AT}", "action": "a", "n": ${n}}`]);
  }
  const counts = Object.fromEntries(RECORD_KINDS.map((kind) => [kind, 0]));
  const metadata = {
    metadata: {
      ...{
        project_id: 1,
        project_name: 'one',
        created_at: AT,
        backup_type: 'manual',
        cloudbox_version: '1.0.0',
      },
    },
    ...{ backup_version: '1.0', counts: { ...counts, services: 3, audit_logs: rows } },
    ...{ audit_since: AT, audit_left_out: 0 },
  };
  return [...records, ['metadata', JSON.stringify(metadata)]];
}

const pack = (records: HandedRecord[]): Buffer =>
  gzipSync(records.map(([kind, line]) => `${kind}\t${line}\n`).join(''));

async function world(packed: Buffer, encrypt = false) {
  const deps: WorkerDeps = {
    ...createDeps({
      ...{ logger: silent, keyring: keyring('main'), codec: await openCodec(), tmpDir: dir },
      ...{ localRoots: [], localServices: false },
      keys: { pool: 'default', keys: [] } as unknown as Parameters<typeof createDeps>[0]['keys'],
    }),
    openStorage: async () => stored.open(),
    openRecords: async () => packed,
  };
  const delivery = {
    ...{ attempt: 1001, token: 'abcdefabcdef', assertOwned: async () => undefined },
    childOutcomes: async () => new Map(),
  };
  const context = { signal: never, progress: () => undefined, log: silent, delivery };
  const common = {
    ...({ v: 1, pool: 'default', projectId: 1, requestId: 'r', issuedAt: AT, keyPrefix } as const),
    ...{ destination: stored.target, encryption: encrypt ? { keyName: 'main' } : null },
    compression: { enabled: true, level: 6 },
  };
  const service: ArtifactPlan['service'] = {
    ...{ id: serviceId, name, type, component, configPaths: [], dataPaths: [], exclude: [] },
  };
  const plan: ArtifactPlan = {
    ...{ ...common, kind: 'artifact', jobId: uuid(101), backupId, service, parent: null },
    server: { id: serverId, name: serverName, projectId: 1, kind: 'local', pool: 'default' },
    records: { v: 1, keyId: 'k', enc: 'AA', ct: 'AA' },
  };
  const capture = async (jobId = plan.jobId) => {
    const { report } = keepingReporter('artifact');
    return (await createArtifactProcessor(deps)({ ...context, report, plan: { ...plan, jobId } }))
      .result as ArtifactResult;
  };
  /** Closes a backup of these and of a service, which may have failed. */
  const close = async (result: ArtifactResult, failed = false) => {
    const other = { ...service, id: uuid(300), name: 'web', type: 'files' as const, component: 'files' };
    const backup: BackupPlan = {
      ...{ ...common, kind: 'backup', jobId: backupId, name: null, createdAt: AT, verify: true },
      backupType: 'full',
      artifacts: [
        { jobId: uuid(102), pool: 'default', service: other, serverId: uuid(700), serverName: 'here' },
        { jobId: uuid(101), pool: 'default', service, serverId, serverName },
      ],
    };
    // An archive like any other: what is in it does not matter here.
    const web = failed ? null : await capture(uuid(102));
    const children = new Map<string, { ok: true; result: ArtifactResult }>([
      [uuid(101), { ok: true, result }],
      ...(web ? [[uuid(102), { ok: true, result: web }] as const] : []),
    ]);
    const { report } = keepingReporter('backup');
    const ended = await createBackupProcessor(deps)({
      ...{ ...context, report, plan: backup },
      delivery: { ...delivery, childOutcomes: async () => children },
    });
    return ended.result as BackupResult;
  };
  const handBack = async ({ manifestSha256 }: BackupResult, wanted = true) => {
    const { report, events } = keepingReporter('restore');
    const restore = {
      ...{ ...common, backupId, manifestSha256 },
      ...(wanted ? { records: { mode: 'missing', projectId: 1 } } : {}),
    } as unknown as RestorePlan;
    const count = await handBackRecords(deps, { plan: restore, report, delivery }, never);
    await report.flush();
    const told = events().flatMap((event) => (event.type === 'records' ? [event] : []));
    return { count, told, records: told.flatMap(({ records }) => records) };
  };
  return { capture, close, handBack };
}

const archives = async (): Promise<string[]> =>
  (await readdir(stored.path, { recursive: true }))
    .filter((file) => file.includes(uuid(101)) && /\.tar\.gz(\.enc)?$/.test(file))
    .map((file) => join(stored.path, file));

test('an ordinary archive: tar unpacks it, and what is handed back is what was given, byte for byte', async () => {
  const given = someRecords(2000);
  const w = await world(pack(given));
  const result = await w.capture();
  expect(result).toMatchObject({
    ...{ parent: null, files: 8, database: { method: 'project_records', tables: 7, records: 2003 } },
  });
  const [archive] = await archives();
  await mkdir(join(dir, 'out'));
  await run('tar', ['xzf', archive ?? '', '-C', join(dir, 'out')]);
  const list = (file: string) => readFile(join(dir, 'out/project-records', file), 'utf8');
  expect((await list('services.jsonl')).trimEnd().split('\n')).toEqual(
    given.filter(([kind]) => kind === 'services').map(([, line]) => line),
  );
  expect(JSON.parse(await list('metadata.json')).counts).toMatchObject({ services: 3, audit_logs: 2000 });
  expect(await list('members.jsonl')).toBe('');

  const { count, told, records } = await w.handBack(await w.close(result));
  expect(count).toBe(given.length);
  expect(records).toEqual(given);
  expect(told.map(({ from }) => from)).toEqual(
    told.map((_one, at) => told.slice(0, at).reduce((sum, one) => sum + one.records.length, 0)),
  );
  for (const { records: part } of told) {
    const bytes = part.reduce((sum, [, line]) => sum + Buffer.byteLength(line), 0);
    expect(bytes).toBeLessThanOrEqual(RECORDS_EVENT_BYTES);
  }
  expect(told.length).toBeGreaterThan(1);
});

test('encrypted where the backup is, and in the manifest as any other', async () => {
  const w = await world(pack(someRecords(1)), true);
  const closed = await w.close(await w.capture());
  for (const archive of await archives()) {
    expect((await readFile(archive)).includes('project-records')).toBe(false);
    await expect(run('gzip', ['-t', archive])).rejects.toThrow();
  }
  const manifest = parseManifest(await readFile(join(stored.path, closed.manifestKey)));
  expect(manifest.artifacts.map(({ service: { type: kind } }) => kind)).toContain('records');
  expect((await w.handBack(closed)).records).toEqual(someRecords(1));
  expect(await w.handBack(closed, false)).toEqual({ count: undefined, told: [], records: [] });
});

test('records alone are no backup', async () => {
  const w = await world(pack(someRecords(1)));
  await expect(w.close(await w.capture(), true)).rejects.toMatchObject({ code: 'WORKER_LOST' });
});

test('a damaged archive hands nothing back', async () => {
  const w = await world(pack(someRecords(1)));
  const closed = await w.close(await w.capture());
  const [archive = ''] = await archives();
  const bytes = await readFile(archive);
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
  await writeFile(archive, bytes);
  await expect(w.handBack(closed)).rejects.toMatchObject({ code: 'BACKUP_CORRUPTED' });
  await appendFile(archive, 'more');
  await expect(w.handBack(closed)).rejects.toMatchObject({ code: 'BACKUP_CORRUPTED' });
});

const spoilt: [string, (records: HandedRecord[]) => Buffer, RegExp][] = [
  ['no gzip', () => Buffer.from('plain'), /unpacked/],
  ['cut off', (all) => gzipSync(`services\t${all[0]?.[1]}`), /cut off/],
  ['too long when unpacked', () => gzipSync(Buffer.alloc(40 * 1024 * 1024, 10)), /unpacked/],
  ['a kind that there is not', (all) => pack([['users' as never, '{}'], ...all]), /"users"/],
  ['kinds in another order', (all) => pack(all.toReversed()), /comes where none may be/],
  ['not JSON', (all) => pack([['services', '{'], ...all]), /line 1 of services is not JSON/],
  ['a record without its id', (all) => pack([['services', '{}'], ...all]), /line 1 of services does not fit/],
  ['fewer than it says', (all) => pack(all.slice(1)), /there are 2 services, and there should be 3/],
  ['no metadata', (all) => pack(all.slice(0, -1)), /metadata/],
];
test.each(spoilt)('a plan with %s is refused', async (_what, spoil, message) => {
  const w = await world(spoil(someRecords(1)));
  const error = { code: 'PLAN_INVALID', message: expect.stringMatching(message) };
  await expect(w.capture()).rejects.toMatchObject(error);
  expect(await archives()).toEqual([]);
});
