// Verification at each level, over HTTP alone: what is sound, what is damaged and where, and what is left behind.
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { makeNastyTree } from '@tarfleet/testbed';
import { expectError } from './testing-expect-error.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };

interface Made {
  id: string;
  archive: string;
  index: string;
  files: number;
}

let world: World;
let scratch: string;
let full: Made;
let later: Made;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tarfleet-scratch-'));
  world = await createWorld('postgres', { workerEnv: { TMP_DIR: scratch } });
  const site = join(world.dir, 'data/site');
  const mail = join(world.dir, 'data/mail');
  await makeNastyTree(site);
  await makeNastyTree(mail);
  const server = await world.addServer('source');
  await world.addService(server, 'site', [site]);
  await world.addService(server, 'mail', [mail], { component: 'user_data' });
  // Beyond what counts as just changed.
  await sleep(3_100);
  full = await backUp('full');
  await writeFile(join(site, 'fresh'), 'fresh');
  later = await backUp('incremental');
  expect(later.files).toBe(full.files + 1);
}, 120_000);
afterAll(async () => {
  await world?.close();
  await rm(scratch, { recursive: true, force: true });
}, 60_000);
beforeEach(async () => {
  expect(await readdir(scratch)).toEqual([]);
});

const stored = (): string => join(world.dir, 'stack/backups');

/** Files are those of the service `site`, and so are archive and index. */
async function backUp(type: string): Promise<Made> {
  const answer = await world.client.request('POST', '/api/backups/create', { type, verify: false }, WAIT);
  expect(answer.status).toBe(200);
  const id: string = answer.body.data.backup_id;
  const { data } = await world.client.must('GET', `/api/jobs/${id}`);
  const { data: details } = await world.client.must('GET', `/api/backups/${id}`);
  expect(details).toMatchObject({ type, encrypted: true, verified: false });
  const site = details.services.find(({ name }: { name: string }) => name === 'site');
  const { key, index } = data.result.artifacts.find(({ artifact_id }: { artifact_id: string }) =>
    site.file_path.includes(artifact_id),
  );
  return { id, archive: join(stored(), key), index: join(stored(), index.key), files: index.files };
}

const verify = ({ id }: Made, body: object = {}) =>
  world.client.request('POST', `/api/backups/verify/${id}`, body, WAIT);
const verified = async ({ id }: Made): Promise<boolean> =>
  (await world.client.must('GET', `/api/backups/${id}`)).data.verified;

/** What the object holds is put back afterwards, and so is what is known of the backups. */
async function whileChanged(path: string, change: (bytes: Buffer) => Buffer, check: () => Promise<void>) {
  const bytes = await readFile(path);
  await writeFile(path, change(bytes));
  try {
    await check();
  } finally {
    await writeFile(path, bytes);
  }
  for (const backup of [full, later]) {
    expect((await verify(backup, { deep_verification: true })).body.data.issues).toEqual([]);
    expect(await verified(backup)).toBe(true);
  }
}
const flipped = (bytes: Buffer): Buffer => {
  const changed = Buffer.from(bytes);
  const middle = changed.length >> 1;
  changed[middle] = (changed[middle] ?? 0) ^ 1;
  return changed;
};

test('what is sound passes at each level, and nothing stays on the worker', async () => {
  for (const backup of [full, later]) {
    const quick = await verify(backup);
    expect(quick.status).toBe(200);
    expect(quick.body.data).toMatchObject({
      ...{ backup_id: backup.id, verification_status: 'passed', issues: [] },
      checks_performed: {
        ...{ checksum_validation: 'passed', file_integrity: 'skipped', encryption_validation: 'passed' },
        ...{ compression_validation: 'skipped', metadata_validation: 'passed' },
        component_completeness: 'passed',
      },
    });
    for (const body of [{ deep_verification: true }, { test_restore: true }]) {
      const { data } = (await verify(backup, body)).body;
      expect(data).toMatchObject({ verification_status: 'passed', issues: [] });
      expect([...new Set(Object.values(data.checks_performed))]).toEqual(['passed']);
      expect(data.components_verified).toMatchObject({
        files: {
          ...{ status: 'passed', checksum_match: true },
          ...{ files_verified: backup.files, missing_files: 0, corrupted_files: 0 },
        },
        user_data: { status: 'passed', corrupted_files: 0 },
      });
      expect(await readdir(scratch)).toEqual([]);
    }
    expect(await verified(backup)).toBe(true);
  }
  const plain = await world.client.request('POST', `/api/backups/${later.id}/verify`, undefined, WAIT);
  expect(plain.body).toMatchObject({ message: 'Backup is valid', data: { isValid: true, issues: [] } });
}, 180_000);

test('a flipped byte in an archive', async () => {
  await whileChanged(full.archive, flipped, async () => {
    const quick = await verify(full);
    expect(quick.status).toBe(200);
    expect(quick.body).toMatchObject({
      message: 'Backup verification failed',
      data: {
        verification_status: 'failed',
        checks_performed: { checksum_validation: 'failed' },
        components_verified: {
          files: { status: 'failed', checksum_match: false },
          user_data: { status: 'passed', checksum_match: true },
        },
        issues: [expect.stringMatching(/^site: .*SHA-256 differs/)],
      },
    });
    expect(await verified(full)).toBe(false);
    // The others are sound, and say nothing of it.
    const some = await verify(full, { deep_verification: true, components: ['user_data'] });
    expect(some.body.data).toMatchObject({ verification_status: 'passed' });
    expect(Object.keys(some.body.data.components_verified)).toEqual(['user_data']);
    expect(await verified(full)).toBe(false);
  });
}, 180_000);

test('a damaged ancestor under a sound incremental', async () => {
  await whileChanged(full.archive, flipped, async () => {
    expect((await verify(later)).body.data).toMatchObject({ verification_status: 'passed', issues: [] });
    const { data } = (await verify(later, { deep_verification: true })).body;
    expect(data).toMatchObject({ verification_status: 'failed' });
    expect(data.issues[0]).toContain(`site: The backup ${full.id}, which this one builds on: `);
    expect(data.components_verified.files.corrupted_files).toBeGreaterThan(0);
    expect([await verified(later), await verified(full)]).toEqual([false, false]);
    // A lighter look finds nothing, and takes nothing back.
    expect((await verify(later)).body.data).toMatchObject({ verification_status: 'passed' });
    expect(await verified(later)).toBe(false);
  });
}, 180_000);

test("another backup's index", async () => {
  const other = await readFile(later.index);
  await whileChanged(
    full.index,
    () => other,
    async () => {
      const { data } = (await verify(full, { deep_verification: true })).body;
      expect(data.checks_performed).toMatchObject({
        ...{ checksum_validation: 'failed', metadata_validation: 'failed' },
      });
      expect(data.verification_status).toBe('failed');
    },
  );
}, 180_000);

test('a key that is missing is an error of its own', async () => {
  const folder = join(full.archive, '..');
  const [name = ''] = (await readdir(folder)).filter((one) => one.includes('.key.'));
  const other = join(folder, name.replace(/\.key\..*/, '.key.other.json'));
  await rename(join(folder, name), other);
  try {
    for (const backup of [full, later]) {
      expect((await verify(backup)).body.data).toMatchObject({ verification_status: 'passed' });
      for (const body of [{ deep_verification: true }, { test_restore: true }]) {
        expectError(await verify(backup, body), 422, 'ENCRYPTION_KEY_NOT_FOUND', /other/);
      }
      expect(await verified(backup)).toBe(true);
    }
  } finally {
    await rename(other, join(folder, name));
  }
}, 180_000);

test('a component that the backup does not have', async () => {
  const unknown = await verify(full, { components: ['files', 'zoo'] });
  expectError(unknown, 404, 'COMPONENT_NOT_FOUND', /zoo.*files, user_data/);
});
