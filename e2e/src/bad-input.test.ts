// Bad requests, and requests of somebody who may not: each gets its own clear error.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Client, signIn } from './client.ts';
import { type BadWorld, createBadWorld, WAIT } from './testing-bad-world.ts';
import { expectError } from './testing-expect-error.ts';

const PASSWORD = 'another-password-1';

const MAIL = { email: ['ops@example.com'] };
let bad: BadWorld;
beforeAll(async () => {
  bad = await createBadWorld();
}, 120_000);
afterAll(() => bad?.close(), 120_000);

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
    const answer = await bad.request('POST', '/api/backups/create', sent);
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
    expectError(await bad.request('POST', '/api/backups/create', sent), status, code, message);
  });

  test('with another content type, an unknown path or a malformed id is refused', async () => {
    const text = await bad.request('POST', '/api/backups/create', 'x', { 'content-type': 'text/plain' });
    expectError(text, 415, 'UNSUPPORTED_MEDIA_TYPE', /Content-Type: application\/json/);
    expectError(await bad.request('GET', '/api/nothing'), 404, 'NOT_FOUND', /openapi\.json/);
    expectError(await bad.request('GET', '/api/backups/not-an-id'), 400, 'VALIDATION_FAILED', /params\/id/);
    expectError(await bad.request('GET', '/api/backups/%zz'), 400, 'VALIDATION_FAILED', /% signs/);
    const none = '019b0000-0000-7000-8000-000000000000';
    expectError(await bad.request('GET', `/api/backups/${none}`), 404, 'BACKUP_NOT_FOUND', none);
  });

  test.each([
    ['another type', { type: 'transaction' }, 400, 'NOT_SUPPORTED', /Use full, incremental/],
    ['no type that there is', { type: 'everything' }, 400, 'INVALID_BACKUP_TYPE', /Types: full/],
    ['letters without a mail server', { notification: MAIL }, 400, 'NOT_SUPPORTED', /SMTP_URL/],
    ['a notification of nobody', { notification: {} }, 400, 'VALIDATION_FAILED', /names nobody/],
    ['a location', { location: '/x' }, 404, 'NOT_FOUND', /No destination has the URL \/x/],
  ])('for %s, which cannot be had, is refused', async (_what, more, status, code, message) => {
    expectError(await bad.create(more), status, code, message);
  });

  test('that names what is not there is refused by its name', async () => {
    const none = '019b0000-0000-7000-8000-000000000000';
    expectError(await bad.create({ services: ['goood'] }), 404, 'NOT_FOUND', /no service goood/);
    expectError(
      await bad.create({ components: ['sound'] }),
      404,
      'COMPONENT_NOT_FOUND',
      /Components here: files/,
    );
    expectError(await bad.create({ server_id: none }), 404, 'NOT_FOUND', none);
    expectError(await bad.create({ project_id: 2_000_000 }), 404, 'NOT_FOUND', /project/);
    expectError(await bad.create({ destination_id: none }), ...([404, 'NOT_FOUND', none] as const));
  });
});

describe('somebody', () => {
  let backup: string;
  let running: string;
  let project: number;
  let destination: string;
  const signUp = async (role: string, projects: number[]): Promise<Client> => {
    const email = `${role}-${randomBytes(4).toString('hex')}@localhost`;
    const { data } = await bad.client.must('POST', '/api/users', { email, password: PASSWORD, role });
    for (const id of projects)
      await bad.client.must('POST', `/api/projects/${id}/members`, { user_id: data.id });
    return signIn(bad.stack.url, email, PASSWORD);
  };
  beforeAll(async () => {
    backup = await bad.backUp({ services: ['good'] });
    const verified = await bad.client.must('POST', `/api/backups/${backup}/verify`, undefined, WAIT);
    running = verified.data.verifyJobId;
    project = (await bad.client.must('GET', `/api/servers/${bad.server}`)).data.project_id;
    destination = (await bad.client.must('GET', '/api/destinations')).data[0].id;
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
    ['GET', `/api/servers/${bad.server}`],
    ['PATCH', `/api/servers/${bad.server}`, { name: 'mine' }],
    ['DELETE', `/api/servers/${bad.server}`],
    ['POST', `/api/servers/${bad.server}/test`],
    ['GET', `/api/servers/${bad.server}/services`],
    ['POST', `/api/servers/${bad.server}/services`, SERVICE],
  ];
  const SERVICE = { name: 'x', type: 'files', component: 'files', config_paths: [], data_paths: ['/srv'] };

  test('of another project finds nothing by any id', async () => {
    const { data: other } = await bad.client.must('POST', '/api/projects', { name: 'other' });
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
    const crossed = await bad.create({ project_id: other.id, server_id: bad.server });
    expectError(crossed, 404, 'NOT_FOUND', /in this project/);
    const named = await bad.create({ project_id: other.id, services: ['good'] });
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
    expectError(await bad.create({}, viewer), 403, 'INSUFFICIENT_PERMISSIONS', /role admin/);
    const nobody = await signUp('viewer', []);
    expectError(await nobody.request('GET', `/api/backups/${backup}`), 404, 'BACKUP_NOT_FOUND', /yours/);
    const stranger = await nobody.request('GET', `/api/backups/${backup}`, undefined, {
      authorization: 'Bearer nonsense',
    });
    expectError(stranger, 401, 'UNAUTHENTICATED', /./);
    expect((await bad.client.must('GET', `/api/backups/${backup}`)).status).toBe('completed');
  });
});
