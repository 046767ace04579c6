// Stored backups that were cut short, altered or lost in part: found out, and never restored.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { type BadWorld, createBadWorld, WAIT } from './testing-bad-world.ts';
import { expectError } from './testing-expect-error.ts';

let bad: BadWorld;
beforeAll(async () => {
  bad = await createBadWorld();
}, 120_000);
afterAll(() => bad?.close(), 120_000);

describe('a stored backup', () => {
  let backup: string;
  let archive: string;
  let manifest: string;
  let service: string;
  beforeAll(async () => {
    service = join(bad.dir, 'data/stored');
    await mkdir(service);
    await writeFile(join(service, 'text'), 'as it was\n');
    await writeFile(join(service, 'random'), randomBytes(12 << 20));
    await bad.addService(bad.server, 'stored', [service]);
    backup = await bad.backUp({ services: ['stored'] });
    const { data: job } = await bad.client.must('GET', `/api/jobs/${backup}`);
    const root = join(bad.dir, 'stack/backups');
    archive = join(root, job.result.artifacts[0].key);
    manifest = join(root, job.result.manifest_key);
    await writeFile(join(service, 'text'), 'newer\n');
    await rm(join(service, 'random'));
  }, 120_000);

  const verify = () => bad.request('POST', `/api/backups/${backup}/verify`, undefined, WAIT);
  const restore = (more: object) =>
    bad.request(
      'POST',
      `/api/backups/${backup}/restore`,
      { restoreType: 'full', overwrite: true, ...more },
      WAIT,
    );

  async function flipByte(path: string, at: number): Promise<void> {
    const file = await open(path, 'r+');
    try {
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
    } finally {
      await file.close();
    }
  }

  /** The end of the archive, so that nearly all of it is read before the fault shows. */
  const LATE = 12 << 20;
  test.each<[string, () => string, (path: string) => Promise<void>, RegExp, boolean]>([
    ['cut short', () => archive, (path) => truncate(path, LATE), /has \d+ bytes where \d+ were/, true],
    ['empty', () => archive, (path) => truncate(path, 0), /has 0 bytes where \d+ were/, true],
    ['with a byte altered', () => archive, (path) => flipByte(path, 1 << 20), /SHA-256 differs/, true],
    ['with a late byte altered', () => archive, (path) => flipByte(path, LATE), /SHA-256 differs/, true],
    ['longer by a byte', () => archive, (path) => writeFile(path, 'x', { flag: 'a' }), /bytes where/, true],
    ['whose archive is gone', () => archive, (path) => rm(path), /is gone/, true],
    ['whose manifest is gone', () => manifest, (path) => rm(path), /manifest is gone/, false],
    ['whose manifest is altered', () => manifest, (path) => flipByte(path, 40), /changed or replaced/, false],
    ['whose manifest is cut short', () => manifest, (path) => truncate(path, 40), /changed or repl/, false],
  ])(
    '%s is not valid, and its restore changes nothing',
    async (_what, pathOf, damage, issue, ofArchive) => {
      const path = pathOf();
      const sound = await readFile(path);
      const before = await snapshotTree(join(bad.dir, 'data'));
      await damage(path);
      try {
        const verified = await verify();
        expect(verified).toMatchObject({ status: 200, body: { message: 'Backup verification failed' } });
        expect(verified.body.data.isValid).toBe(false);
        expect(verified.body.data.issues).toEqual([expect.stringMatching(issue)]);
        const { data: marked } = await bad.client.must('GET', `/api/backups/${backup}`);
        expect(marked).toMatchObject({ status: 'completed', verified: false });

        const elsewhere = { restorePath: join(bad.dir, 'data/elsewhere') };
        for (const more of [{}, { verifyIntegrity: false }, { ...elsewhere, verifyIntegrity: false }]) {
          const refused = await restore(more);
          expectError(refused, 500, 'RESTORE_FAILED', /^Restore failed: /);
          const unchecked = ofArchive && 'verifyIntegrity' in more;
          if (!unchecked) {
            expect(refused.body.message).toMatch(issue);
            expect(refused.body.details.code).toBe('BACKUP_CORRUPTED');
          }
          const { data: job } = await bad.client.must(
            'GET',
            `/api/backups/restore-jobs/${refused.body.details.restoreJobId}`,
          );
          expect(job).toMatchObject({ status: 'failed', services_restored: [], services_failed: ['stored'] });
          expect(compareTrees(before, await snapshotTree(join(bad.dir, 'data')))).toEqual([]);
        }
      } finally {
        await writeFile(`${path}.new`, sound);
        await rename(`${path}.new`, path);
      }
      expect((await verify()).body.data).toMatchObject({ isValid: true, issues: [] });
    },
    180_000,
  );

  test('that is sound again comes back', async () => {
    expect((await restore({})).status).toBe(200);
    expect(await readFile(join(service, 'text'), 'utf8')).toBe('as it was\n');
  }, 120_000);
});
