/** Real nginx, redis-server and mariadb behind a real sshd: stopped and started in order, and seen to be healthy. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { HealthCheck } from '@tarfleet/contracts';
import { prepareRealServices, type RealService, type RealServices } from '@tarfleet/testbed';
import { calm, quick, startServer, type TestServer } from './testing/world.ts';
import type { ServiceHandle } from './types.ts';

let server: TestServer;
let real: RealServices;
beforeAll(async () => {
  real = await prepareRealServices();
  server = await startServer();
}, 180_000);
afterAll(async () => {
  await real?.remove();
  await server?.stop();
});

const handle = ({ runner }: RealService, healthCheck: HealthCheck | null = null): ServiceHandle =>
  server.of(runner, { healthCheck });
const patient = { intervalSeconds: 0.1, retries: 50 };

/** nginx needs the other two, which do not need each other. */
function all() {
  const { redis, mariadb, nginx } = real;
  return {
    redis: handle(redis, quick({ type: 'tcp', host: '127.0.0.1', port: redis.port }, patient)),
    mariadb: handle(mariadb, quick({ type: 'command', argv: mariadb.runner.status.argv }, patient)),
    nginx: handle(
      nginx,
      quick({ ...http(`http://127.0.0.1:${nginx.port}/`), bodyContains: 'hello from nginx' }, patient),
    ),
  };
}
const http = (url: string) =>
  ({ type: 'http', url, statuses: [] as number[], bodyContains: null, verifyTls: true }) as const;
const states = async () => {
  const services = all();
  return Promise.all(
    [services.redis, services.mariadb, services.nginx].map(async (one) => (await one.state(calm)).status),
  );
};

test('three services with data that depend on each other start, stop and start again in order', async () => {
  const services = all();
  const start = async () => {
    await Promise.all([services.redis.start(calm), services.mariadb.start(calm)]);
    await services.nginx.start(calm);
    for (const one of Object.values(services))
      expect(await one.health(calm)).toMatchObject({ healthy: true });
  };
  expect(await states()).toEqual(['stopped', 'stopped', 'stopped']);
  await start();
  await real.sql('create database shop; create table shop.t (id int primary key, v text) engine=innodb');
  await real.sql("insert into shop.t select seq, repeat('x', 500) from shop.seq_1_to_2000");
  const { redis } = real;
  await server.session.run([...redis.runner.status.argv.slice(0, -1), 'set', 'cart', '42'], { signal: calm });

  expect(await services.nginx.stop(calm)).toMatchObject({ status: 'stopped', up: false });
  expect(await states()).toEqual(['running', 'running', 'stopped']);
  expect(await services.nginx.health(calm)).toMatchObject({
    ...{ healthy: false, tries: 1, reason: expect.stringContaining('it no longer runs') },
  });
  await Promise.all([services.redis.stop(calm), services.mariadb.stop(calm)]);
  expect(await states()).toEqual(['stopped', 'stopped', 'stopped']);
  expect([await real.redis.pid(), await real.mariadb.pid(), await real.nginx.pid()]).toEqual([
    null,
    null,
    null,
  ]);

  await start();
  expect(await real.sql('select count(*), sum(length(v)) from shop.t')).toBe('2000\t1000000');
  expect(await real.redisGet('cart')).toBe('42');
});

test('a daemon lives on after its start and its session, and writing does not kill it', async () => {
  const { mariadb } = all();
  await mariadb.start(calm);
  const pid = await real.mariadb.pid();
  // It writes warnings of such guests to the output that it has from its starter.
  await real.sql('set global log_warnings = 9');
  for (let i = 0; i < 5; i += 1) {
    const guest = await server.session.dial({ host: '127.0.0.1', port: real.mariadb.port }, calm);
    await new Promise((resolve) => guest.once('data', resolve));
    guest.end('nonsense, not a packet');
    await new Promise((resolve) => guest.once('close', resolve));
  }
  expect(await mariadb.state(calm)).toMatchObject({ status: 'running' });
  expect(await real.mariadb.pid()).toBe(pid);
});

test('one that does not stop: it goes on running, and that is told', async () => {
  const { nginx } = real;
  const deaf = { ...nginx.runner, stop: { argv: ['sh', '-c', 'echo stopping...'], seconds: 3 } };
  await all().nginx.start(calm);
  await expect(server.of(deaf).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringContaining('still runs 3 s after it was told to stop'),
  });
  const broken = {
    ...deaf,
    stop: { argv: ['sh', '-c', 'echo first; echo no such thing >&2; exit 4'], seconds: 5 },
  };
  await expect(server.of(broken).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringContaining('its stop exited with code 4: first; no such thing'),
  });
  expect((await all().nginx.state(calm)).status).toBe('running');
});

test('one whose stop command fails, but that has stopped, is stopped', async () => {
  const { redis } = real;
  await all().redis.start(calm);
  const argv = ['sh', '-c', '"$@"; exit 1', 'sh', ...redis.runner.stop.argv];
  const service = server.of({ ...redis.runner, stop: { argv, seconds: 10 } });
  expect(await service.stop(calm)).toMatchObject({ status: 'stopped', up: false });
  await service.start(calm);
});

test('one that does not start: its own words say why', async () => {
  const { redis } = real;
  await all().redis.stop(calm);
  await writeFile(join(real.dir, 'broken.conf'), 'no-such-directive yes\n');
  const argv = [redis.runner.start.argv[0] ?? '', join(real.dir, 'broken.conf')];
  await expect(
    server.of({ ...redis.runner, start: { argv, seconds: 10 } }).start(calm),
  ).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringMatching(/was not started: its start exited with code 1: .*no-such-directive/),
  });
  const missing = { ...redis.runner, start: { argv: ['tarfleet-no-such-server'], seconds: 10 } };
  await expect(server.of(missing).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringMatching(/exited with code 127: .*not found/),
  });
  await all().redis.start(calm);
});

test('one that starts and dies at once, and one that never comes up', async () => {
  const { redis } = real;
  await all().redis.stop(calm);
  const [program = '', config = ''] = redis.runner.start.argv;
  const script = '"$@" && sleep 0.05; kill -9 "$(cat "$0")" 2>/dev/null; exit 0';
  const dying = ['sh', '-c', script, join(real.dir, 'redis.pid'), program, config];
  await expect(
    server.of({ ...redis.runner, start: { argv: dying, seconds: 10 } }).start(calm),
  ).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringMatching(/ended at once|does not run 10 s after it was started/),
  });
  await expect(
    server.of({ ...redis.runner, start: { argv: ['true'], seconds: 3 } }).start(calm),
  ).rejects.toMatchObject({ message: expect.stringContaining('does not run 3 s after it was started') });
  await all().redis.start(calm);
  expect(await real.redisGet('cart')).toBe('42');
});

test('one that runs and is unhealthy', async () => {
  const { nginx } = real;
  await all().nginx.start(calm);
  const root = `http://127.0.0.1:${nginx.port}`;
  const look = (check: HealthCheck) => handle(nginx, check).health(calm);
  expect(await look(quick(http(`${root}/gone?token=secret`)))).toEqual({
    ...{ healthy: false, tries: 3, reason: `GET ${root}/gone answered 404, not 200 to 299` },
  });
  expect(await look(quick({ ...http(`${root}/teapot`), statuses: [418, 200] }))).toMatchObject({
    healthy: true,
  });
  expect(await look(quick({ ...http(`${root}/`), bodyContains: 'hello from apache' }))).toMatchObject({
    ...{ healthy: false, tries: 3, reason: expect.stringContaining('its body lacks the text') },
  });
});
