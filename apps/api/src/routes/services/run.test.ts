/** How a service is run and checked, as the API takes, keeps and shows it, and what becomes of it in a plan. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createParser, ServiceRun } from '@tarfleet/contracts';
import { toServiceRun } from '../../planner/service-run.ts';
import { sshServer } from '../../testing/samples.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let token: string;
let url: string;

beforeAll(async () => {
  t = await buildTestApp();
  const projectId = (await t.db.projects.create({ name: 'alpha' })).id;
  token = (await t.as('operator', projectId)).token;
  const answer = await t.ask('POST', '/api/servers', {
    token,
    body: { ...sshServer(), project_id: projectId },
  });
  url = `/api/servers/${answer.json().data.id}/services`;
});
afterAll(() => t.close());

const create = (change: object) =>
  t.ask('POST', url, {
    token,
    body: {
      name: `service ${crypto.randomUUID()}`,
      type: 'files',
      component: 'files',
      data_paths: ['/srv/app'],
      ...change,
    },
  });
const change = (id: string, body: object) => t.ask('PATCH', `${url}/${id}`, { token, body });
const faults = (answer: { json(): { details: { path: string; message: string }[] } }) =>
  answer.json().details.map(({ path, message }) => `${path} ${message}`);

const commands = {
  stop: { command: ['redis-cli', 'shutdown'], timeout_seconds: 30 },
  start: { command: ['/usr/bin/redis-server', '/etc/redis.conf'] },
  status: { command: ['redis-cli', 'ping'] },
};
const compose = { directory: '/srv/shop', service: 'db' };
const parse = createParser(ServiceRun);

const kinds: [string, object, object][] = [
  ['files', { type: 'files' }, { kind: 'none' }],
  [
    'docker',
    { type: 'docker', container: 'shop_db.1', stop: { timeout_seconds: 90 } },
    { kind: 'docker', container: 'shop_db.1', stopSeconds: 90, startSeconds: 60 },
  ],
  [
    'docker-compose',
    { type: 'docker-compose', compose: { ...compose, files: ['/srv/shop/prod.yml'], project: 'shop' } },
    {
      ...{ kind: 'docker-compose', directory: '/srv/shop', files: ['/srv/shop/prod.yml'], project: 'shop' },
      ...{ service: 'db', stopSeconds: 60, startSeconds: 60 },
    },
  ],
  [
    'systemd',
    { type: 'systemd', unit: 'postgresql@15-main.service', start: { timeout_seconds: 300 } },
    { kind: 'systemd', unit: 'postgresql@15-main.service', stopSeconds: 60, startSeconds: 300 },
  ],
  [
    'command',
    { type: 'command', ...commands },
    {
      kind: 'command',
      stop: { argv: ['redis-cli', 'shutdown'], seconds: 30 },
      start: { argv: ['/usr/bin/redis-server', '/etc/redis.conf'], seconds: 60 },
      status: { argv: ['redis-cli', 'ping'], seconds: 10 },
    },
  ],
];

test.each(kinds)('a service of the type %s is kept, shown and planned', async (_name, body, runner) => {
  const answer = await create(body);
  expect([answer.statusCode, answer.json()]).toEqual([201, expect.anything()]);
  const { data } = answer.json();
  expect(data).toMatchObject(body);
  expect((await t.ask('GET', `${url}/${data.id}`, { token })).json().data).toEqual(data);
  const stored = await t.db.services.get(data.id);
  const run = stored && toServiceRun(stored);
  expect(run).toEqual({ id: data.id, name: data.name, runner, healthCheck: null });
  expect(parse(run)).toMatchObject({ ok: true });
});

const pace = { timeoutSeconds: 5, intervalSeconds: 2, retries: 15, startPeriodSeconds: 0 };
const checks: [object, object, object][] = [
  [{ type: 'docker', container: 'c' }, { type: 'container' }, { type: 'container', ...pace }],
  [
    { type: 'systemd', unit: 'nginx.service' },
    { type: 'unit', retries: 3 },
    { type: 'unit', unit: 'nginx.service', ...pace, retries: 3 },
  ],
  [
    { type: 'files' },
    { type: 'unit', unit: 'nginx.service' },
    { type: 'unit', unit: 'nginx.service', ...pace },
  ],
  [
    { type: 'command', ...commands },
    { type: 'tcp', port: 6379, timeout_seconds: 1, interval_seconds: 0, start_period_seconds: 10 },
    {
      ...{ type: 'tcp', host: '127.0.0.1', port: 6379, retries: 15 },
      ...{ timeoutSeconds: 1, intervalSeconds: 0, startPeriodSeconds: 10 },
    },
  ],
  [
    { type: 'files' },
    { type: 'http', url: 'https://[::1]:8443/health?deep=1', status: [200, 401], body_contains: 'ok' },
    {
      ...{ type: 'http', url: 'https://[::1]:8443/health?deep=1', statuses: [200, 401] },
      ...{ bodyContains: 'ok', verifyTls: true, ...pace },
    },
  ],
  [{ type: 'files' }, { type: 'command', command: ['true'] }, { type: 'command', argv: ['true'], ...pace }],
];

test.each(checks)('of %j the health check %j is kept, shown and planned', async (body, check, planned) => {
  const answer = await create({ ...body, health_check: check });
  expect([answer.statusCode, answer.json().data?.health_check]).toEqual([201, check]);
  const stored = await t.db.services.get(answer.json().data.id);
  const run = stored && toServiceRun(stored);
  expect(run?.healthCheck).toEqual(planned);
  expect(parse(run)).toMatchObject({ ok: true });
});

const refused: [object, string[]][] = [
  [
    { type: 'oracle' },
    [
      'body/type must be one of: files, docker, docker-compose, systemd, command, postgres, mysql, sqlite, redis, rows',
    ],
  ],
  [{ type: 'docker' }, ['body/container is required for services of the type docker']],
  [
    { type: 'docker', container: '--all' },
    [expect.stringContaining('body/container must be: a container') as never],
  ],
  [{ type: 'docker', container: 'a b' }, [expect.stringContaining('body/container must be') as never]],
  [
    { type: 'docker', container: 'c', unit: 'x.service' },
    ['body/unit is not for services of the type docker: leave it out'],
  ],
  [
    { type: 'docker', container: 'c', stop: { command: ['x'] } },
    ['body/stop/command is for services of the type command alone'],
  ],
  [{ type: 'docker-compose' }, ['body/compose is required for services of the type docker-compose']],
  [
    { type: 'docker-compose', compose: { directory: 'shop', service: 'db', files: ['/a', '../b'] } },
    [
      'body/compose/directory must be absolute: begin it with /',
      'body/compose/files/1 must be absolute: begin it with /',
    ],
  ],
  [{ type: 'docker-compose', compose: { directory: '/srv' } }, ['body/compose/service is required']],
  [{ type: 'systemd', unit: 'nginx' }, [expect.stringContaining('such as nginx.service') as never]],
  [{ type: 'systemd', unit: '-H.service evil' }, [expect.stringContaining('body/unit must be') as never]],
  [
    { type: 'command' },
    [
      'body/stop is required for services of the type command',
      'body/start is required for services of the type command',
      'body/status is required for services of the type command',
    ],
  ],
  [
    { type: 'command', ...commands, stop: { timeout_seconds: 5 } },
    ['body/stop/command is required for services of the type command'],
  ],
  [
    { type: 'command', ...commands, start: { command: [] } },
    ['body/start/command must NOT have fewer than 1 items'],
  ],
  [
    { type: 'command', ...commands, start: { command: [' ', 'x'] } },
    ['body/start/command/0 must name a program'],
  ],
  [
    { type: 'command', ...commands, start: { command: ['./start.sh'] } },
    ['body/start/command/0 must be the name of a program, or its absolute path'],
  ],
  [
    { type: 'command', ...commands, start: { command: ['a\u0000b'] } },
    [expect.stringContaining('body/start/command/0 must not hold the character U+0000') as never],
  ],
  [
    { type: 'command', ...commands, status: { command: ['-x'] } },
    ['body/status/command/0 must be a program: it begins with a dash'],
  ],
  [
    { type: 'command', ...commands, stop: { command: ['x'], timeout_seconds: 0 } },
    ['body/stop/timeout_seconds must be >= 1'],
  ],
  [{ stop: { timeout_seconds: 5 } }, ['body/stop is not for services of the type files: leave it out']],
  [
    { health_check: { type: 'ping' } },
    ['body/health_check/type must be one of: container, unit, tcp, http, command'],
  ],
  [
    { health_check: { type: 'container' } },
    ['body/health_check/type container is for services of the types docker and docker-compose'],
  ],
  [
    { health_check: { type: 'unit' } },
    ['body/health_check/unit is required unless the service is of the type systemd'],
  ],
  [{ health_check: { type: 'tcp', port: 0 } }, ['body/health_check/port must be >= 1']],
  [
    { health_check: { type: 'http', url: '/health' } },
    ['body/health_check/url must be a whole URL, such as http://127.0.0.1:8080/health'],
  ],
  [
    { health_check: { type: 'http', url: 'file:///etc/passwd' } },
    ['body/health_check/url must begin with http:// or https://'],
  ],
  [
    { health_check: { type: 'http', url: 'http://me:secret@localhost/' } },
    ['body/health_check/url must hold no user name or password'],
  ],
  [
    { health_check: { type: 'command', command: ['bin/check'] } },
    ['body/health_check/command/0 must be the name of a program, or its absolute path'],
  ],
  [{ health_check: { type: 'tcp', port: 1, tries: 3 } }, ['body/health_check/tries is not a known field']],
];

test.each(refused)('%j is refused', async (body, expected) => {
  const answer = await create(body);
  expect(answer.statusCode).toBe(400);
  expect(faults(answer)).toEqual(expected);
});

test('what a change leaves out stays, null takes away, and what does not fit is refused', async () => {
  const health = { type: 'tcp', port: 6379 };
  const { id } = (await create({ type: 'command', ...commands, health_check: health })).json().data;
  const renamed = await change(id, { backup_priority: 3, stop: { command: ['true'] } });
  expect(renamed.json().data).toMatchObject({
    ...commands,
    stop: { command: ['true'] },
    health_check: health,
  });
  expect(renamed.json().data.stop).toEqual({ command: ['true'] });
  expect((await change(id, { health_check: null })).json().data.health_check).toBeNull();
  expect(faults(await change(id, { status: null }))).toEqual([
    'body/status is required for services of the type command',
  ]);
  expect(faults(await change(id, { container: 'c' }))).toEqual([
    'body/container is not for services of the type command: leave it out',
  ]);
});

test('with another type nothing stays of how it was run', async () => {
  const { id } = (
    await create({ type: 'command', ...commands, health_check: { type: 'tcp', port: 1 } })
  ).json().data;
  expect(faults(await change(id, { type: 'systemd' }))).toEqual([
    'body/unit is required for services of the type systemd',
  ]);
  const changed = await change(id, { type: 'systemd', unit: 'redis-server.service' });
  expect(changed.json().data).toMatchObject({
    ...{ type: 'systemd', unit: 'redis-server.service' },
    ...{ stop: null, start: null, status: null, health_check: null },
  });
});
