// Destinations that are full, closed, missing or in use: nothing is lost, and what the error says mends it.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type FaultProxy, type RunningS3, startFaultProxy, startS3, testS3 } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { mountSmall, type SmallDisk } from './mount-small.ts';
import { type BadWorld, createBadWorld, WAIT } from './testing-bad-world.ts';
import { expectError } from './testing-expect-error.ts';
import { until } from './until.ts';

let bad: BadWorld;
beforeAll(async () => {
  bad = await createBadWorld();
}, 120_000);
afterAll(() => bad?.close(), 120_000);

describe('a destination', () => {
  let number = 0;
  const add = async (body: object): Promise<string> => {
    number += 1;
    const { data } = await bad.client.must('POST', '/api/destinations', { name: `d${number}`, ...body });
    return data.id;
  };
  const folder = (path: string): Promise<string> => add({ type: 'local', config: { path } });
  const check = async (id: string) => {
    const { data } = await bad.client.must('POST', `/api/destinations/${id}/test`);
    return (await bad.client.ended(data.id)).result;
  };
  const to = (destination_id: string, service = 'good') => ({ services: [service], destination_id });
  beforeAll(async () => {
    const big = join(bad.dir, 'data/too much');
    await mkdir(big);
    await writeFile(join(big, 'random'), randomBytes(24 << 20));
    await bad.addService(bad.server, 'too much', [big]);
  });

  describe('on a small disk', () => {
    let path: string;
    let disk: SmallDisk;
    let id: string;
    beforeAll(async () => {
      path = join(bad.dir, 'small disk');
      disk = await mountSmall(path);
      id = await folder(path);
    }, 60_000);
    afterAll(() => disk?.unmount());

    test('that gets full', async () => {
      const kept = await bad.backUp(to(id));
      const before = await filesBelow(path);
      const answer = await bad.create(to(id, 'too much'));
      expectError(answer, 507, 'STORAGE_FULL', /small disk is full .*Free space there, or choose another/);
      await bad.expectFailed('too much', 'STORAGE_FULL');
      expect(await filesBelow(path)).toEqual(before);
      const verified = await bad.request('POST', `/api/backups/${kept}/verify`, undefined, WAIT);
      expect(verified.body.data.isValid).toBe(true);
      await bad.backUp(to(id));
    }, 180_000);

    test('that is read-only', async () => {
      const before = await filesBelow(path);
      await disk.setReadOnly(true);
      expect(await check(id)).toMatchObject({ writable: false, failure: { code: 'DESTINATION_READ_ONLY' } });
      const answer = await bad.create(to(id));
      expectError(answer, 502, 'DESTINATION_READ_ONLY', /small disk cannot be written .*Mount it writable/);
      await bad.expectFailed('good', 'DESTINATION_READ_ONLY');
      expect(await filesBelow(path)).toEqual(before);
      await disk.setReadOnly(false);
      await bad.backUp(to(id));
    }, 180_000);
  });

  test('whose disk is not mounted is not made on the one below', async () => {
    const missing = join(bad.dir, 'mnt/disk/backups');
    const id = await folder(missing);
    expect(await check(id)).toMatchObject({ reachable: false, failure: { code: 'DESTINATION_NOT_FOUND' } });
    const answer = await bad.create(to(id));
    expectError(answer, 502, 'DESTINATION_NOT_FOUND', /does not exist here.*Is its disk mounted\?/);
    await bad.expectFailed('good', 'DESTINATION_NOT_FOUND');
    expect(await filesBelow(join(bad.dir, 'mnt'))).toEqual([]);
    await mkdir(join(bad.dir, 'mnt/disk'), { recursive: true });
    const next = await bad.backUp(to(id));
    expect((await filesBelow(missing)).every((name) => name.includes(next))).toBe(true);
    // Unmounted later, it leaves an empty mount point.
    await rename(missing, join(bad.dir, 'mnt/unmounted'));
    await mkdir(missing);
    const bare = await bad.create(to(id));
    expectError(
      bare,
      502,
      'DESTINATION_NOT_FOUND',
      /is empty although backups lie there\. Is its disk mounted\?/,
    );
    expect(await filesBelow(missing)).toEqual([]);
    await bad.client.must('DELETE', `/api/backups/${next}?force=true&reason=emptied`, undefined, WAIT);
    await bad.backUp(to(id));
  }, 180_000);

  test('inside what is backed up is left out, and survives a restore', async () => {
    const self = join(bad.dir, 'data/self');
    const daily = join(self, 'daily');
    await mkdir(daily, { recursive: true });
    await writeFile(join(self, 'text'), 'first');
    await bad.addService(bad.server, 'self', [self]);
    const id = await folder(daily);
    const one = await bad.backUp(to(id, 'self'));
    await writeFile(join(self, 'text'), 'second');
    const two = await bad.backUp(to(id, 'self'));
    const { data: details } = await bad.client.must('GET', `/api/backups/${two}`);
    expect(JSON.stringify(details.file_warnings)).toContain(`${daily} is the folder of the destination`);
    const before = await filesBelow(daily);
    const answer = await bad.request('POST', `/api/backups/${one}/restore`, { restoreType: 'full' }, WAIT);
    expect(answer).toMatchObject({ status: 200, body: { data: { status: 'completed' } } });
    expect(await readFile(join(self, 'text'), 'utf8')).toBe('first');
    expect(await filesBelow(daily)).toEqual(before);
    const rollback = `/api/backups/restore-jobs/${answer.body.data.restoreJobId}/rollback`;
    await bad.client.must('POST', rollback, undefined, WAIT);
    expect(await readFile(join(self, 'text'), 'utf8')).toBe('second');
    expect(await filesBelow(daily)).toEqual(before);
    const verified = await bad.request('POST', `/api/backups/${two}/verify`, undefined, WAIT);
    expect(verified.body.data.isValid).toBe(true);
  }, 180_000);

  test('outside the allowed folders', async () => {
    const outside = '/var/tmp/tarfleet-not-allowed';
    const answer = await bad.create(to(await folder(outside)));
    expectError(answer, 403, 'LOCAL_NOT_ALLOWED', /outside the folders that this host allows/);
    expect(await filesBelow(outside)).toEqual([]);
  }, 180_000);

  describe('on S3', () => {
    let s3: RunningS3;
    beforeAll(async () => {
      s3 = await testS3();
    });
    afterAll(() => s3?.stop());
    const config = (bucket: string) => ({
      ...{ bucket, region: s3.region, endpoint: s3.endpoint, force_path_style: true },
      ...{ access_key_id: s3.accessKeyId, secret_access_key: s3.secretAccessKey },
    });
    const bucketName = (): string => `bad-${randomBytes(6).toString('hex')}`;

    test.each([
      ['secret', { secret_access_key: 'wrong-secret-of-the-tests' }],
      ['key id', { access_key_id: 'WRONGKEYOFTHETESTS00' }],
    ])(
      'with a wrong %s',
      async (_what, wrong) => {
        const bucket = bucketName();
        await s3.createBucket(bucket);
        const id = await add({ type: 's3', config: { ...config(bucket), ...wrong } });
        const tested = await check(id);
        expect(tested).toMatchObject({ writable: false, failure: { code: 'DESTINATION_AUTH_FAILED' } });
        const answer = await bad.create(to(id));
        expectError(answer, 502, 'DESTINATION_AUTH_FAILED', `The bucket ${bucket} at ${s3.endpoint} refuses`);
        expect(answer.body.message).toContain('Enter the credentials again.');
        await bad.expectFailed('good', 'DESTINATION_AUTH_FAILED');
        expect(await s3.everything(bucket)).toEqual([]);
        for (const secret of Object.values(wrong)) {
          expect(JSON.stringify(answer.body) + bad.logs()).not.toContain(secret);
        }
        await bad.client.must('PATCH', `/api/destinations/${id}`, {
          config: { access_key_id: s3.accessKeyId, secret_access_key: s3.secretAccessKey },
        });
        const next = await bad.backUp(to(id));
        expect((await s3.everything(bucket)).every((key) => key.includes(next))).toBe(true);
      },
      180_000,
    );

    test('with a bucket that does not exist', async () => {
      const bucket = bucketName();
      const id = await add({ type: 's3', config: config(bucket) });
      expect(await check(id)).toMatchObject({ reachable: false, failure: { code: 'DESTINATION_NOT_FOUND' } });
      const answer = await bad.create(to(id));
      expectError(
        answer,
        502,
        'DESTINATION_NOT_FOUND',
        `The bucket ${bucket} at ${s3.endpoint} does not exist`,
      );
      await bad.expectFailed('good', 'DESTINATION_NOT_FOUND');
      await s3.createBucket(bucket);
      const next = await bad.backUp(to(id));
      expect((await s3.everything(bucket)).every((key) => key.includes(next))).toBe(true);
    }, 180_000);

    test('over its quota', async () => {
      const full = await startS3({ quotaBytes: 12 << 20 });
      try {
        const bucket = bucketName();
        await full.createBucket(bucket);
        const { endpoint, accessKeyId: access_key_id, secretAccessKey: secret_access_key } = full;
        const account = { ...config(bucket), endpoint, access_key_id, secret_access_key };
        const id = await add({ type: 's3', config: account });
        await bad.backUp(to(id));
        const before = await full.everything(bucket);
        const answer = await bad.create(to(id, 'too much'));
        expectError(answer, 507, 'STORAGE_FULL', /is full or over its quota .*raise the quota/);
        await bad.expectFailed('too much', 'STORAGE_FULL');
        expect(await full.everything(bucket)).toEqual(before);
        await bad.backUp(to(id));
      } finally {
        await full.stop();
      }
    }, 180_000);

    describe('in use', () => {
      let proxy: FaultProxy;
      let id: string;
      beforeAll(async () => {
        proxy = await startFaultProxy(s3.endpoint);
        const bucket = bucketName();
        await s3.createBucket(bucket);
        id = await add({ type: 's3', config: { ...config(bucket), endpoint: proxy.url } });
        await bad.addService(bad.server, 'held', [bad.tree]);
      });
      afterAll(() => proxy?.stop());
      const hold = (isHeld: (method: string, url: string) => boolean): { count: number } => {
        const held = { count: 0 };
        proxy.decide = ({ method, url }) => {
          if (!isHeld(method, url)) return 'pass';
          held.count += 1;
          return 'hang';
        };
        return held;
      };
      const cancel = async (job: string): Promise<void> => {
        await bad.client.must('POST', `/api/jobs/${job}/cancel`);
        expect(await bad.client.ended(job)).toMatchObject({ state: 'cancelled' });
        proxy.decide = () => 'pass';
      };

      test('a backup that runs is neither deleted, nor restored, verified or started twice', async () => {
        const held = hold((method, url) => method === 'PUT' && url.includes('.tar.gz'));
        const running = await bad.startBackup(to(id, 'held'));
        await until('the backup stores', async () => held.count > 0);
        const path = `/api/backups/${running}`;
        const gone = `${path}?force=true&reason=none`;
        expectError(await bad.request('DELETE', gone), 409, 'BACKUP_IN_PROGRESS', /Cancel it first/);
        const restored = await bad.request('POST', `${path}/restore`, { restoreType: 'full' });
        expectError(restored, 409, 'BACKUP_INCOMPLETE', /still running/);
        expectError(await bad.request('POST', `${path}/verify`), 409, 'BACKUP_INCOMPLETE', /still running/);
        const twice = await bad.create(to(id, 'held'));
        expectError(twice, 409, 'BACKUP_IN_PROGRESS', new RegExp(`${running}.*cancel it`));
        expect((await bad.client.must('GET', `/api/jobs/${running}`)).data.state).not.toBe('cancelled');
        await cancel(running);
        await bad.backUp(to(id, 'held'));
      }, 180_000);

      test('a backup that is verified or restored is not deleted meanwhile', async () => {
        const backup = await bad.backUp(to(id, 'held'));
        const gone = `/api/backups/${backup}?force=true&reason=test`;
        const reads = (method: string, url: string) => method === 'GET' && url.includes('.tar.gz');
        let held = hold(reads);
        const verify = await bad.client.must('POST', `/api/backups/${backup}/verify`);
        await until('the verification reads', async () => held.count > 0);
        expectError(await bad.request('DELETE', gone), 409, 'BACKUP_IN_PROGRESS', /verify .*cancel it/);
        await cancel(verify.data.verifyJobId);
        held = hold(reads);
        const body = { restoreType: 'full' };
        const restore = await bad.client.must('POST', `/api/backups/${backup}/restore`, body);
        await until('the restore reads', async () => held.count > 0);
        expectError(await bad.request('DELETE', gone), 409, 'RESTORE_IN_PROGRESS', /restore .*cancel it/);
        const second = await bad.request('POST', `/api/backups/${backup}/restore`, body);
        expectError(second, 409, 'RESTORE_IN_PROGRESS', /Wait until it has ended/);
        expectError(await bad.create(to(id, 'held')), 409, 'RESTORE_IN_PROGRESS', /Wait until it has ended/);
        await cancel(restore.data.restoreJobId);
        expect((await bad.request('DELETE', gone, undefined, WAIT)).status).toBe(200);
        const after = await bad.request('POST', `/api/backups/${backup}/restore`, body);
        expectError(after, 404, 'BACKUP_NOT_FOUND', backup);
      }, 180_000);
    });
  });
});
