// Bad requests, servers, destinations and archives: each gets its own clear error, and nothing is lost by it.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  compareTrees,
  type FaultProxy,
  type RunningS3,
  type RunningSshd,
  snapshotTree,
  startFaultProxy,
  startS3,
  startSshd,
  testS3,
} from '@tarfleet/testbed';
import { type Answer, type Client, signIn } from './client.ts';
import { filesBelow } from './files-below.ts';
import { mountSmall, type SmallDisk } from './mount-small.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const PASSWORD = 'another-password-1';

let here: World;
let client: Client;
/** A server that is sound, with a service that is. */
let server: string;
let tree: string;
beforeAll(async () => {
  here = await createWorld('postgres');
  client = here.client;
  server = await here.addServer('source');
  tree = join(here.dir, 'data/tree');
  await mkdir(join(tree, 'inner'), { recursive: true });
  await writeFile(join(tree, 'text'), 'as it was\n');
  await writeFile(join(tree, 'inner/random'), randomBytes(1 << 20));
  await here.addService(server, 'good', [tree]);
}, 120_000);
afterAll(() => here?.close(), 120_000);

const request = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  client.request(method, path, body, headers);

/** The one shape of every error, and no secret or stack in it. */
function expectError(answer: Answer, status: number, code: string, message: RegExp | string): void {
  expect(answer).toMatchObject({ status, body: { success: false, code, error: expect.any(String) } });
  expect(answer.body.message).toMatch(message);
  expect(Object.keys(answer.body).sort()).toEqual(
    ['code', ...('details' in answer.body ? ['details'] : []), 'error', 'message', 'success'].sort(),
  );
  expect(answer.headers.get('x-request-id')).toMatch(/\S/);
  expect(JSON.stringify(answer.body)).not.toMatch(/PRIVATE KEY|node_modules|\.ts:\d+/);
}

const create = (body: object = {}, by: Client = client): Promise<Answer> =>
  by.request('POST', '/api/backups/create', { type: 'full', encrypt: false, ...body }, WAIT);

async function backUp(body: object): Promise<string> {
  const answer = await create(body);
  expect(answer).toMatchObject({ status: 200, body: { data: { status: 'completed' } } });
  return answer.body.data.backup_id;
}

/** The newest backup that names this service, which must have failed as the answer said. */
async function expectFailed(service: string, code: string): Promise<string> {
  const { data } = await client.must('GET', '/api/backups/list?status=failed');
  for (const { id } of data.backups) {
    const { data: details } = await client.must('GET', `/api/backups/${id}`);
    if (!details.services.some((one: { name: string }) => one.name === service)) continue;
    expect(details).toMatchObject({ status: 'failed', error: { code }, checksum: null, size_bytes: 0 });
    const { data: status } = await client.must('GET', `/api/backups/status/${id}`);
    expect(status).toMatchObject({ status: 'failed', error: { code } });
    expectError(
      await request('POST', `/api/backups/${id}/restore`, { restoreType: 'full' }),
      ...([409, 'BACKUP_INCOMPLETE', /no usable content/] as const),
    );
    return id;
  }
  throw new Error(`No failed backup of ${service}.`);
}

describe('a request', () => {
  const LIMIT = 1024 * 1024;
  const body = { type: 'full' };
  test.each([
    ['an unknown field', { ...body, encrpyt: true }, /body\/encrpyt is not a known field/],
    ['a wrong type', { ...body, verify: 'yes' }, /body\/verify must be boolean/],
    ['a number out of range', { ...body, compression_level: 10 }, /body\/compression_level must be <= 9/],
    ['several faults', { type: 7, retention_days: 0, x: 1 }, /body\/type.*body\/|and \d+ more/],
    ['no type', {}, /body\/type is required/],
    ['a list for a body', [], /body must be object/],
    ['a character that cannot be stored', { ...body, name: 'a\0b' }, /body\/name must not hold/],
  ])('with %s is refused by the path of the fault', async (_what, sent, message) => {
    const answer = await request('POST', '/api/backups/create', sent);
    expectError(answer, 400, 'VALIDATION_FAILED', message);
    for (const fault of answer.body.details) {
      expect(fault).toEqual({ path: expect.stringMatching(/^body/), message: expect.any(String) });
    }
  });

  test.each([
    ['that is no JSON', '{"type": "full"', 400, 'MALFORMED_BODY', /not JSON/],
    ['that is no text', '\x00\x01', 400, 'MALFORMED_BODY', /not JSON/],
    ['nested without end', '['.repeat(100) + ']'.repeat(100), 400, 'MALFORMED_BODY', /nested deeper/],
    [
      'over the limit',
      JSON.stringify({ type: 'full', name: 'x'.repeat(LIMIT) }),
      ...([413, 'BODY_TOO_LARGE', /larger than this server accepts/] as const),
    ],
  ])('with a body %s is refused', async (_what, sent, status, code, message) => {
    expectError(await request('POST', '/api/backups/create', sent), status, code, message);
  });

  test('with another content type, an unknown path or a malformed id is refused', async () => {
    const text = await request('POST', '/api/backups/create', 'x', { 'content-type': 'text/plain' });
    expectError(text, 415, 'UNSUPPORTED_MEDIA_TYPE', /Content-Type: application\/json/);
    expectError(await request('GET', '/api/nothing'), 404, 'NOT_FOUND', /openapi\.json/);
    expectError(await request('GET', '/api/backups/not-an-id'), 400, 'VALIDATION_FAILED', /params\/id/);
    expectError(await request('GET', '/api/backups/%zz'), 400, 'VALIDATION_FAILED', /% signs/);
    const none = '019b0000-0000-7000-8000-000000000000';
    expectError(await request('GET', `/api/backups/${none}`), 404, 'BACKUP_NOT_FOUND', none);
  });

  test.each([
    ['another type', { type: 'incremental' }, 'NOT_SUPPORTED', /Leave it at full/],
    ['no type that there is', { type: 'everything' }, 'INVALID_BACKUP_TYPE', /Types: full/],
    ['encryption', { encrypt: true }, 'NOT_SUPPORTED', /encrypt: false/],
    ['a notification', { notification: {} }, 'NOT_SUPPORTED', /Leave it out/],
    ['a location', { location: '/x' }, 'NOT_SUPPORTED', /destination_id/],
  ])('for %s, which cannot be had yet, is refused', async (_what, more, code, message) => {
    expectError(await create(more), 400, code, message);
  });

  test('that names what is not there is refused by its name', async () => {
    const none = '019b0000-0000-7000-8000-000000000000';
    expectError(await create({ services: ['goood'] }), 404, 'NOT_FOUND', /no service goood/);
    expectError(
      await create({ components: ['sound'] }),
      404,
      'COMPONENT_NOT_FOUND',
      /Components here: files/,
    );
    expectError(await create({ server_id: none }), 404, 'NOT_FOUND', none);
    expectError(await create({ project_id: 2_000_000 }), 404, 'NOT_FOUND', /project/);
    expectError(await create({ destination_id: none }), ...([502, 'DESTINATION_NOT_FOUND', none] as const));
  });
});

describe('somebody', () => {
  let backup: string;
  let running: string;
  let project: number;
  let destination: string;
  const signUp = async (role: string, projects: number[]): Promise<Client> => {
    const email = `${role}-${randomBytes(4).toString('hex')}@localhost`;
    const { data } = await client.must('POST', '/api/users', { email, password: PASSWORD, role });
    for (const id of projects) await client.must('POST', `/api/projects/${id}/members`, { user_id: data.id });
    return signIn(here.stack.url, email, PASSWORD);
  };
  beforeAll(async () => {
    backup = await backUp({ services: ['good'] });
    const verified = await client.must('POST', `/api/backups/${backup}/verify`, undefined, WAIT);
    running = verified.data.verifyJobId;
    project = (await client.must('GET', `/api/servers/${server}`)).data.project_id;
    destination = (await client.must('GET', '/api/destinations')).data[0].id;
  }, 120_000);

  const onBackup = (): [string, string, unknown?][] => [
    ['GET', `/api/backups/${backup}`],
    ['DELETE', `/api/backups/${backup}?force=true&reason=none`],
    ['POST', `/api/backups/${backup}/restore`, { restoreType: 'full' }],
    ['POST', `/api/backups/${backup}/verify`],
  ];
  const onRest = (): [string, string, unknown?][] => [
    ['GET', `/api/jobs/${running}`],
    ['GET', `/api/jobs/${backup}/events`],
    ['POST', `/api/jobs/${backup}/cancel`],
    ['GET', `/api/servers/${server}`],
    ['PATCH', `/api/servers/${server}`, { name: 'mine' }],
    ['DELETE', `/api/servers/${server}`],
    ['POST', `/api/servers/${server}/test`],
    ['GET', `/api/servers/${server}/services`],
    ['POST', `/api/servers/${server}/services`, SERVICE],
  ];
  const SERVICE = { name: 'x', type: 'files', component: 'files', config_paths: [], data_paths: ['/srv'] };

  test('of another project finds nothing by any id', async () => {
    const { data: other } = await client.must('POST', '/api/projects', { name: 'other' });
    const operator = await signUp('operator', [other.id]);
    for (const [method, path, sent] of onBackup()) {
      expectError(await operator.request(method, path, sent), 404, 'BACKUP_NOT_FOUND', /not yours/);
    }
    for (const [method, path, sent] of onRest()) {
      expectError(await operator.request(method, path, sent), 404, 'NOT_FOUND', /There is no/);
    }
    expectError(await operator.request('GET', `/api/projects/${project}`), 404, 'NOT_FOUND', /project/);
    const closed = await operator.request('GET', `/api/destinations/${destination}`);
    expectError(closed, 403, 'INSUFFICIENT_PERMISSIONS', /administrator/);
    const { data } = await operator.must('GET', '/api/servers');
    expect(data).toEqual([]);
    // Nor does an admin's request for one project reach into another.
    const crossed = await create({ project_id: other.id, server_id: server });
    expectError(crossed, 404, 'NOT_FOUND', /in this project/);
    const named = await create({ project_id: other.id, services: ['good'] });
    expectError(named, 404, 'NOT_FOUND', /no service good/);
  });

  test('who may only look sees the project, and changes nothing', async () => {
    const viewer = await signUp('viewer', [project]);
    for (const [method, path, sent] of [...onBackup(), ...onRest()]) {
      if (path.endsWith('/events')) continue;
      const answer = await viewer.request(method, path, sent);
      if (method === 'GET') expect({ path, status: answer.status }).toEqual({ path, status: 200 });
      else expectError(answer, 403, 'INSUFFICIENT_PERMISSIONS', /role operator/);
    }
    expectError(await create({}, viewer), 403, 'INSUFFICIENT_PERMISSIONS', /role admin/);
    const nobody = await signUp('viewer', []);
    expectError(await nobody.request('GET', `/api/backups/${backup}`), 404, 'BACKUP_NOT_FOUND', /yours/);
    const stranger = await nobody.request('GET', `/api/backups/${backup}`, undefined, {
      authorization: 'Bearer nonsense',
    });
    expectError(stranger, 401, 'UNAUTHENTICATED', /./);
    expect((await client.must('GET', `/api/backups/${backup}`)).status).toBe('completed');
  });
});

describe('a server', () => {
  let fragile: RunningSshd;
  beforeAll(async () => {
    fragile = await startSshd();
  });
  afterAll(() => fragile?.stop());

  const add = async (name: string, more: object = {}): Promise<string> => {
    const { data } = await client.must('POST', '/api/servers', {
      ...{ name, kind: 'ssh', host: fragile.host, port: fragile.port, username: fragile.username },
      auth: { type: 'private_key', private_key: fragile.privateKey },
      host_key_fingerprint: fragile.fingerprint,
      ...more,
    });
    if (data.test_job_id) await client.ended(data.test_job_id);
    await here.addService(data.id, `of ${name}`, [tree]);
    return data.id;
  };
  const test_ = async (id: string) => {
    const { data } = await client.must('POST', `/api/servers/${id}/test`);
    return (await client.ended(data.id)).result;
  };
  const stored = (): Promise<string[]> => filesBelow(join(here.dir, 'stack/backups'));

  /** A backup fails with this code and leaves nothing; once `mend` has done what the message says, the next one works. */
  async function expectFault(
    service: string,
    [status, code, message]: [number, string, RegExp],
    mend: () => Promise<unknown>,
  ): Promise<void> {
    const before = await stored();
    expectError(await create({ services: [service] }), status, code, message);
    await expectFailed(service, code);
    expect(await stored()).toEqual(before);
    await mend();
    await backUp({ services: [service] });
  }

  test('that is down, and the same when it is up again', async () => {
    const id = await add('down');
    const port = fragile.port;
    // Its port is taken by nobody meanwhile: nothing listens there.
    const proxy = await client.must('PATCH', `/api/servers/${id}`, {
      ...{ port: 1, auth: { type: 'private_key', private_key: fragile.privateKey } },
      host_key_fingerprint: fragile.fingerprint,
    });
    expect(proxy.data.port).toBe(1);
    expect(await test_(id)).toMatchObject({ reachable: false, failure: { code: 'SERVER_UNREACHABLE' } });
    await expectFault('of down', [502, 'SERVER_UNREACHABLE', /127\.0\.0\.1:1\).*Check the address/], () =>
      client.must('PATCH', `/api/servers/${id}`, {
        ...{ port, auth: { type: 'private_key', private_key: fragile.privateKey } },
        host_key_fingerprint: fragile.fingerprint,
      }),
    );
  }, 180_000);

  test('that refuses the key', async () => {
    const id = await add('refusing', { auth: { type: 'password', password: 'not-the-password' } });
    expect(await test_(id)).toMatchObject({ reachable: false, failure: { code: 'SERVER_AUTH_FAILED' } });
    await expectFault(
      'of refusing',
      [502, 'SERVER_AUTH_FAILED', /refused to let \w+ in: check the user name/],
      () =>
        client.must('PATCH', `/api/servers/${id}`, {
          auth: { type: 'private_key', private_key: fragile.privateKey },
        }),
    );
    expect(here.logs()).not.toContain('not-the-password');
  }, 180_000);

  test('whose key is of the wrong form is refused at once', async () => {
    const auth = { type: 'private_key', private_key: 'ssh-ed25519 AAAA' };
    const answer = await request('POST', '/api/servers', {
      ...{ name: 'wrong form', kind: 'ssh', host: 'h', username: 'root', auth },
    });
    expectError(answer, 400, 'VALIDATION_FAILED', /body\/auth\/private_key must be: a private key/);
    expect(JSON.stringify(answer.body)).not.toContain('AAAA');
  });

  test('that shows another host key', async () => {
    const id = await add('changed');
    await backUp({ services: ['of changed'] });
    const pinned = fragile.fingerprint;
    const shown = await fragile.changeHostKey();
    expect(await test_(id)).toMatchObject({ reachable: false, failure: { code: 'HOST_KEY_CHANGED' } });
    const { data: still } = await client.must('GET', `/api/servers/${id}`);
    expect(still.host_key_fingerprint).toBe(pinned);
    await expectFault(
      'of changed',
      [502, 'HOST_KEY_CHANGED', /has changed.*No credentials were sent/],
      async () => {
        const { data } = await client.must('GET', '/api/backups/list?status=failed&per_page=1');
        const failed = await client.must('GET', `/api/backups/${data.backups[0].id}`);
        for (const key of [pinned, shown]) expect(failed.data.error.message).toContain(key);
        await client.must('PATCH', `/api/servers/${id}`, { host_key_fingerprint: shown });
      },
    );
  }, 180_000);

  test('that nobody has pinned', async () => {
    const { host_key_fingerprint: _none, ...unpinned } = { host_key_fingerprint: undefined, port: 1 };
    const { data } = await client.must('POST', '/api/servers', {
      ...{ name: 'unpinned', kind: 'ssh', host: fragile.host, username: fragile.username, ...unpinned },
      auth: { type: 'private_key', private_key: fragile.privateKey },
    });
    await client.ended(data.test_job_id);
    await here.addService(data.id, 'of unpinned', [tree]);
    const before = await stored();
    const refused = await create({ services: ['of unpinned'] });
    expectError(refused, 409, 'HOST_KEY_NOT_PINNED', new RegExp(`POST /api/servers/${data.id}/test`));
    expect(await stored()).toEqual(before);
    await client.must('PATCH', `/api/servers/${data.id}`, {
      ...{ port: fragile.port, auth: { type: 'private_key', private_key: fragile.privateKey } },
    });
    expect(await test_(data.id)).toMatchObject({ reachable: true, fingerprint: fragile.fingerprint });
    await backUp({ services: ['of unpinned'] });
  }, 180_000);

  test('without the path that is asked for', async () => {
    const missing = join(here.dir, 'data/not there');
    await here.addService(server, 'pathless', [missing]);
    await expectFault(
      'pathless',
      [422, 'PATH_NOT_FOUND', /^pathless: .*not there.*Correct the service, or put the paths there/],
      () => mkdir(missing),
    );
    const relative = { name: 'r', type: 'files', component: 'files', config_paths: [], data_paths: ['etc'] };
    const answer = await request('POST', `/api/servers/${server}/services`, relative);
    expectError(answer, 400, 'VALIDATION_FAILED', /body\/data_paths\/0/);
  }, 180_000);
});

describe('a destination', () => {
  let number = 0;
  const add = async (body: object): Promise<string> => {
    number += 1;
    const { data } = await client.must('POST', '/api/destinations', { name: `d${number}`, ...body });
    return data.id;
  };
  const folder = (path: string): Promise<string> => add({ type: 'local', config: { path } });
  const test_ = async (id: string) => {
    const { data } = await client.must('POST', `/api/destinations/${id}/test`);
    return (await client.ended(data.id)).result;
  };
  const to = (destination_id: string, service = 'good') => ({ services: [service], destination_id });
  beforeAll(async () => {
    const big = join(here.dir, 'data/too much');
    await mkdir(big);
    await writeFile(join(big, 'random'), randomBytes(24 << 20));
    await here.addService(server, 'too much', [big]);
  });

  describe('on a small disk', () => {
    let path: string;
    let disk: SmallDisk;
    let id: string;
    beforeAll(async () => {
      path = join(here.dir, 'small disk');
      disk = await mountSmall(path);
      id = await folder(path);
    }, 60_000);
    afterAll(() => disk?.unmount());

    test('that gets full', async () => {
      const kept = await backUp(to(id));
      const before = await filesBelow(path);
      const answer = await create(to(id, 'too much'));
      expectError(answer, 507, 'STORAGE_FULL', /small disk is full .*Free space there, or choose another/);
      await expectFailed('too much', 'STORAGE_FULL');
      expect(await filesBelow(path)).toEqual(before);
      const verified = await request('POST', `/api/backups/${kept}/verify`, undefined, WAIT);
      expect(verified.body.data.isValid).toBe(true);
      await backUp(to(id));
    }, 180_000);

    test('that is read-only', async () => {
      const before = await filesBelow(path);
      await disk.setReadOnly(true);
      expect(await test_(id)).toMatchObject({ writable: false, failure: { code: 'DESTINATION_READ_ONLY' } });
      const answer = await create(to(id));
      expectError(answer, 502, 'DESTINATION_READ_ONLY', /small disk cannot be written .*Mount it writable/);
      await expectFailed('good', 'DESTINATION_READ_ONLY');
      expect(await filesBelow(path)).toEqual(before);
      await disk.setReadOnly(false);
      await backUp(to(id));
    }, 180_000);
  });

  test('whose disk is not mounted is not made on the one below', async () => {
    const missing = join(here.dir, 'mnt/disk/backups');
    const id = await folder(missing);
    expect(await test_(id)).toMatchObject({ reachable: false, failure: { code: 'DESTINATION_NOT_FOUND' } });
    const answer = await create(to(id));
    expectError(answer, 502, 'DESTINATION_NOT_FOUND', /does not exist here.*Is its disk mounted\?/);
    await expectFailed('good', 'DESTINATION_NOT_FOUND');
    expect(await filesBelow(join(here.dir, 'mnt'))).toEqual([]);
    await mkdir(join(here.dir, 'mnt/disk'), { recursive: true });
    const next = await backUp(to(id));
    expect((await filesBelow(missing)).every((name) => name.includes(next))).toBe(true);
  }, 180_000);

  test('outside the allowed folders', async () => {
    const outside = '/var/tmp/tarfleet-not-allowed';
    const answer = await create(to(await folder(outside)));
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
        const tested = await test_(id);
        expect(tested).toMatchObject({ writable: false, failure: { code: 'DESTINATION_AUTH_FAILED' } });
        const answer = await create(to(id));
        expectError(answer, 502, 'DESTINATION_AUTH_FAILED', `The bucket ${bucket} at ${s3.endpoint} refuses`);
        expect(answer.body.message).toContain('Enter the credentials again.');
        await expectFailed('good', 'DESTINATION_AUTH_FAILED');
        expect(await s3.everything(bucket)).toEqual([]);
        for (const secret of Object.values(wrong)) {
          expect(JSON.stringify(answer.body) + here.logs()).not.toContain(secret);
        }
        await client.must('PATCH', `/api/destinations/${id}`, {
          config: { access_key_id: s3.accessKeyId, secret_access_key: s3.secretAccessKey },
        });
        const next = await backUp(to(id));
        expect((await s3.everything(bucket)).every((key) => key.includes(next))).toBe(true);
      },
      180_000,
    );

    test('with a bucket that does not exist', async () => {
      const bucket = bucketName();
      const id = await add({ type: 's3', config: config(bucket) });
      expect(await test_(id)).toMatchObject({ reachable: false, failure: { code: 'DESTINATION_NOT_FOUND' } });
      const answer = await create(to(id));
      expectError(
        answer,
        502,
        'DESTINATION_NOT_FOUND',
        `The bucket ${bucket} at ${s3.endpoint} does not exist`,
      );
      await expectFailed('good', 'DESTINATION_NOT_FOUND');
      await s3.createBucket(bucket);
      const next = await backUp(to(id));
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
        await backUp(to(id));
        const before = await full.everything(bucket);
        const answer = await create(to(id, 'too much'));
        expectError(answer, 507, 'STORAGE_FULL', /is full or over its quota .*raise the quota/);
        await expectFailed('too much', 'STORAGE_FULL');
        expect(await full.everything(bucket)).toEqual(before);
        await backUp(to(id));
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
        await here.addService(server, 'held', [tree]);
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
        await client.must('POST', `/api/jobs/${job}/cancel`);
        expect(await client.ended(job)).toMatchObject({ state: 'cancelled' });
        proxy.decide = () => 'pass';
      };

      test('a backup that runs is neither deleted, nor restored, verified or started twice', async () => {
        const held = hold((method, url) => method === 'PUT' && url.includes('.tar.gz'));
        const running = await here.startBackup(to(id, 'held'));
        await until('the backup stores', async () => held.count > 0);
        const path = `/api/backups/${running}`;
        const gone = `${path}?force=true&reason=none`;
        expectError(await request('DELETE', gone), 409, 'BACKUP_IN_PROGRESS', /Cancel it first/);
        const restored = await request('POST', `${path}/restore`, { restoreType: 'full' });
        expectError(restored, 409, 'BACKUP_INCOMPLETE', /still running/);
        expectError(await request('POST', `${path}/verify`), 409, 'BACKUP_INCOMPLETE', /still running/);
        const twice = await create(to(id, 'held'));
        expectError(twice, 409, 'BACKUP_IN_PROGRESS', new RegExp(`${running}.*cancel it`));
        expect((await client.must('GET', `/api/jobs/${running}`)).data.state).not.toBe('cancelled');
        await cancel(running);
        await backUp(to(id, 'held'));
      }, 180_000);

      test('a backup that is verified or restored is not deleted meanwhile', async () => {
        const backup = await backUp(to(id, 'held'));
        const gone = `/api/backups/${backup}?force=true&reason=test`;
        const reads = (method: string, url: string) => method === 'GET' && url.includes('.tar.gz');
        let held = hold(reads);
        const verify = await client.must('POST', `/api/backups/${backup}/verify`);
        await until('the verification reads', async () => held.count > 0);
        expectError(await request('DELETE', gone), 409, 'BACKUP_IN_PROGRESS', /verify .*cancel it/);
        await cancel(verify.data.verifyJobId);
        held = hold(reads);
        const body = { restoreType: 'full' };
        const restore = await client.must('POST', `/api/backups/${backup}/restore`, body);
        await until('the restore reads', async () => held.count > 0);
        expectError(await request('DELETE', gone), 409, 'RESTORE_IN_PROGRESS', /restore .*cancel it/);
        const second = await request('POST', `/api/backups/${backup}/restore`, body);
        expectError(second, 409, 'RESTORE_IN_PROGRESS', /Wait until it has ended/);
        expectError(await create(to(id, 'held')), 409, 'RESTORE_IN_PROGRESS', /Wait until it has ended/);
        await cancel(restore.data.restoreJobId);
        expect((await request('DELETE', gone, undefined, WAIT)).status).toBe(200);
        const after = await request('POST', `/api/backups/${backup}/restore`, body);
        expectError(after, 404, 'BACKUP_NOT_FOUND', backup);
      }, 180_000);
    });
  });
});

describe('a stored backup', () => {
  let backup: string;
  let archive: string;
  let manifest: string;
  let service: string;
  beforeAll(async () => {
    service = join(here.dir, 'data/stored');
    await mkdir(service);
    await writeFile(join(service, 'text'), 'as it was\n');
    await writeFile(join(service, 'random'), randomBytes(12 << 20));
    await here.addService(server, 'stored', [service]);
    backup = await backUp({ services: ['stored'] });
    const { data: job } = await client.must('GET', `/api/jobs/${backup}`);
    const root = join(here.dir, 'stack/backups');
    archive = join(root, job.result.artifacts[0].key);
    manifest = join(root, job.result.manifest_key);
    await writeFile(join(service, 'text'), 'newer\n');
    await rm(join(service, 'random'));
  }, 120_000);

  const verify = () => request('POST', `/api/backups/${backup}/verify`, undefined, WAIT);
  const restore = (more: object) =>
    request(
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
      const before = await snapshotTree(join(here.dir, 'data'));
      await damage(path);
      try {
        const verified = await verify();
        expect(verified).toMatchObject({ status: 200, body: { message: 'Backup verification failed' } });
        expect(verified.body.data.isValid).toBe(false);
        expect(verified.body.data.issues).toEqual([expect.stringMatching(issue)]);
        const { data: marked } = await client.must('GET', `/api/backups/${backup}`);
        expect(marked).toMatchObject({ status: 'completed', verified: false });

        const elsewhere = { restorePath: join(here.dir, 'data/elsewhere') };
        for (const more of [{}, { verifyIntegrity: false }, { ...elsewhere, verifyIntegrity: false }]) {
          const refused = await restore(more);
          expectError(refused, 500, 'RESTORE_FAILED', /^Restore failed: /);
          const unchecked = ofArchive && 'verifyIntegrity' in more;
          if (!unchecked) {
            expect(refused.body.message).toMatch(issue);
            expect(refused.body.details.code).toBe('BACKUP_CORRUPTED');
          }
          const { data: job } = await client.must(
            'GET',
            `/api/backups/restore-jobs/${refused.body.details.restoreJobId}`,
          );
          expect(job).toMatchObject({ status: 'failed', services_restored: [], services_failed: ['stored'] });
          expect(compareTrees(before, await snapshotTree(join(here.dir, 'data')))).toEqual([]);
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
