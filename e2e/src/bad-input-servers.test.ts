// Servers that are down, refuse us or are not who they were: nothing is lost, and what the error says mends it.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RunningSshd, startSshd } from '@tarfleet/testbed';
import { type BadWorld, createBadWorld } from './testing-bad-world.ts';
import { expectError } from './testing-expect-error.ts';

let bad: BadWorld;
beforeAll(async () => {
  bad = await createBadWorld();
}, 120_000);
afterAll(() => bad?.close(), 120_000);

describe('a server', () => {
  let fragile: RunningSshd;
  beforeAll(async () => {
    fragile = await startSshd();
  });
  afterAll(() => fragile?.stop());

  const add = async (name: string, more: object = {}): Promise<string> => {
    const { data } = await bad.client.must('POST', '/api/servers', {
      ...{ name, kind: 'ssh', host: fragile.host, port: fragile.port, username: fragile.username },
      auth: { type: 'private_key', private_key: fragile.privateKey },
      host_key_fingerprint: fragile.fingerprint,
      ...more,
    });
    if (data.test_job_id) await bad.client.ended(data.test_job_id);
    await bad.addService(data.id, `of ${name}`, [bad.tree]);
    return data.id;
  };
  const check = async (id: string) => {
    const { data } = await bad.client.must('POST', `/api/servers/${id}/test`);
    return (await bad.client.ended(data.id)).result;
  };

  /** A backup fails with this code and leaves nothing; once `mend` has done what the message says, the next one works. */
  async function expectFault(
    service: string,
    [status, code, message]: [number, string, RegExp],
    mend: () => Promise<unknown>,
  ): Promise<void> {
    const before = await bad.stored();
    expectError(await bad.create({ services: [service] }), status, code, message);
    await bad.expectFailed(service, code);
    expect(await bad.stored()).toEqual(before);
    await mend();
    await bad.backUp({ services: [service] });
  }

  const ownKey = () => ({ auth: { type: 'private_key', private_key: fragile.privateKey } });

  test('that is down, and the same when it is up again', async () => {
    const id = await add('down', { port: 1 });
    expect(await check(id)).toMatchObject({ reachable: false, failure: { code: 'SERVER_UNREACHABLE' } });
    await expectFault('of down', [502, 'SERVER_UNREACHABLE', /127\.0\.0\.1:1\).*Check the address/], () =>
      bad.client.must('PATCH', `/api/servers/${id}`, {
        ...{ port: fragile.port, host_key_fingerprint: fragile.fingerprint, ...ownKey() },
      }),
    );
  }, 180_000);

  test.each([
    ['key', () => ({ type: 'private_key', private_key: bad.sshd.privateKey })],
    ['password', () => ({ type: 'password', password: 'not-the-password' })],
  ])(
    'that refuses the %s',
    async (what, auth) => {
      const id = await add(`refusing ${what}`, { auth: auth() });
      expect(await check(id)).toMatchObject({ reachable: false, failure: { code: 'SERVER_AUTH_FAILED' } });
      await expectFault(
        `of refusing ${what}`,
        [502, 'SERVER_AUTH_FAILED', /refused to let \w+ in: check the user name, its key or password/],
        () => bad.client.must('PATCH', `/api/servers/${id}`, ownKey()),
      );
      expect(bad.logs()).not.toMatch(/not-the-password|PRIVATE KEY/);
    },
    180_000,
  );

  test('whose key is of the wrong form is refused at once', async () => {
    const auth = { type: 'private_key', private_key: 'ssh-ed25519 AAAA' };
    const answer = await bad.request('POST', '/api/servers', {
      ...{ name: 'wrong form', kind: 'ssh', host: 'h', username: 'root', auth },
    });
    expectError(answer, 400, 'VALIDATION_FAILED', /body\/auth\/private_key must be: a private key/);
    expect(JSON.stringify(answer.body)).not.toContain('AAAA');
  });

  test('that shows another host key', async () => {
    const id = await add('changed');
    await bad.backUp({ services: ['of changed'] });
    const pinned = fragile.fingerprint;
    const shown = await fragile.changeHostKey();
    expect(await check(id)).toMatchObject({ reachable: false, failure: { code: 'HOST_KEY_CHANGED' } });
    const { data: still } = await bad.client.must('GET', `/api/servers/${id}`);
    expect(still.host_key_fingerprint).toBe(pinned);
    await expectFault(
      'of changed',
      [502, 'HOST_KEY_CHANGED', /has changed.*No credentials were sent/],
      async () => {
        const { data } = await bad.client.must('GET', '/api/backups/list?status=failed&per_page=1');
        const failed = await bad.client.must('GET', `/api/backups/${data.backups[0].id}`);
        for (const key of [pinned, shown]) expect(failed.data.error.message).toContain(key);
        await bad.client.must('PATCH', `/api/servers/${id}`, { host_key_fingerprint: shown });
      },
    );
  }, 180_000);

  test('that nobody has pinned', async () => {
    // Its first test, which would pin it, finds nobody.
    const { data } = await bad.client.must('POST', '/api/servers', {
      ...{ name: 'unpinned', kind: 'ssh', host: fragile.host, port: 1, username: fragile.username },
      ...ownKey(),
    });
    await bad.client.ended(data.test_job_id);
    await bad.addService(data.id, 'of unpinned', [bad.tree]);
    const before = await bad.stored();
    const refused = await bad.create({ services: ['of unpinned'] });
    expectError(refused, 409, 'HOST_KEY_NOT_PINNED', new RegExp(`POST /api/servers/${data.id}/test`));
    expect(await bad.stored()).toEqual(before);
    await bad.client.must('PATCH', `/api/servers/${data.id}`, {
      ...{ port: fragile.port, ...ownKey() },
    });
    expect(await check(data.id)).toMatchObject({ reachable: true, fingerprint: fragile.fingerprint });
    await bad.backUp({ services: ['of unpinned'] });
  }, 180_000);

  test('without the path that is asked for', async () => {
    const missing = join(bad.dir, 'data/not there');
    await bad.addService(bad.server, 'pathless', [missing]);
    await expectFault(
      'pathless',
      [422, 'PATH_NOT_FOUND', /^pathless: .*not there.*Correct the service, or put the paths there/],
      () => mkdir(missing),
    );
    const relative = { name: 'r', type: 'files', component: 'files', config_paths: [], data_paths: ['etc'] };
    const answer = await bad.request('POST', `/api/servers/${bad.server}/services`, relative);
    expectError(answer, 400, 'VALIDATION_FAILED', /body\/data_paths\/0/);
  }, 180_000);
});
