/** Checks that look at ports, from the server itself. */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { HealthCheck } from '@tarfleet/contracts';
import { calm, quick, startServer, type TestServer } from '../testing/world.ts';

let server: TestServer;
let web: HttpServer;
let port: number;
let answer: RequestListener = (_request, response) => response.end('ok');
const sockets = new Set<Socket>();

beforeAll(async () => {
  server = await startServer();
  web = createHttpServer((request, response) => answer(request, response));
  port = await listen(web);
});
afterAll(async () => {
  await close(web);
  await server.stop();
});

async function listen(one: Server): Promise<number> {
  one.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  return (one.address() as AddressInfo).port;
}
async function close(one: Server): Promise<void> {
  for (const socket of sockets) socket.destroy();
  one.close();
  await once(one, 'close');
}

type HttpCheck = Extract<HealthCheck, { type: 'http' }>;
const http = (change: Partial<HttpCheck> = {}, pace = {}): HealthCheck =>
  quick(
    {
      ...{ type: 'http', url: `http://127.0.0.1:${port}/health`, statuses: [], bodyContains: null },
      ...{ verifyTls: true, ...change },
    },
    pace,
  );
const look = (healthCheck: HealthCheck, signal = calm) =>
  server.of({ kind: 'none' }, { healthCheck }).health(signal);

test('a port that takes connections, and one that does not', async () => {
  expect(await look(quick({ type: 'tcp', host: '127.0.0.1', port }))).toEqual({
    ...{ healthy: true, tries: 1, detail: `127.0.0.1 port ${port} takes connections` },
  });
  const other = createServer();
  const closed = await listen(other);
  await close(other);
  expect(await look(quick({ type: 'tcp', host: '127.0.0.1', port: closed }))).toEqual({
    ...{
      healthy: false,
      tries: 3,
      reason: expect.stringMatching(/cannot connect to 127.0.0.1 port .*refused/i),
    },
  });
  expect(await look(quick({ type: 'tcp', host: 'no-such-host.invalid', port: 1 }))).toMatchObject({
    healthy: false,
  });
});

test('the request is a plain one, and the answer’s status decides', async () => {
  const seen: unknown[] = [];
  answer = (request, response) => {
    seen.push([request.method, request.url, request.headers.host]);
    response.statusCode = 204;
    response.end();
  };
  expect(await look(http({ url: `http://127.0.0.1:${port}/a/b?c=d` }))).toMatchObject({ healthy: true });
  expect(seen).toEqual([['GET', '/a/b?c=d', `127.0.0.1:${port}`]]);
  answer = (_, response) => response.writeHead(302, { location: '/login' }).end();
  expect(await look(http())).toMatchObject({
    healthy: false,
    reason: expect.stringContaining('answered 302'),
  });
  expect(await look(http({ statuses: [302] }))).toMatchObject({ healthy: true });
});

test('what comes after some failures is healthy, and failures in the start period do not count', async () => {
  let left = 2;
  answer = (_, response) => response.writeHead(left-- > 0 ? 503 : 200).end();
  expect(await look(http())).toMatchObject({ healthy: true, tries: 3 });
  left = 3;
  expect(await look(http())).toMatchObject({ healthy: false, tries: 3 });
  left = 6;
  expect(await look(http({}, { startPeriodSeconds: 60 }))).toMatchObject({ healthy: true, tries: 7 });
});

test('a body is read no further than needed, whatever comes', async () => {
  let sent = 0;
  answer = (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x'))) sent += 65_536;
    };
    response.on('drain', more);
    more();
  };
  expect(await look(http({ bodyContains: 'never' }, { retries: 1 }))).toMatchObject({
    ...{ healthy: false, reason: expect.stringContaining('body lacks') },
  });
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  answer = (_, response) => {
    response.write('all is w');
    response.end('ell, secret');
  };
  const found = await look(http({ bodyContains: 'is well' }));
  expect(found).toMatchObject({ healthy: true });
  expect(JSON.stringify(found)).not.toContain('secret');
});

test('one that never answers, and one that breaks off', async () => {
  answer = () => undefined;
  const short = { timeoutSeconds: 0.2, retries: 2 };
  expect(await look(http({}, short))).toEqual({ healthy: false, tries: 2, reason: 'no answer within 0.2 s' });
  answer = (_, response) => void response.write('begun');
  expect(await look(http({ bodyContains: 'x' }, short))).toMatchObject({ reason: 'no answer within 0.2 s' });
  answer = (request) => request.socket.destroy();
  expect(await look(http())).toMatchObject({ reason: expect.stringMatching(/^GET .* failed: /) });
  answer = (request) => request.socket.end('SSH-2.0-no web server\r\n');
  expect(await look(http())).toMatchObject({
    reason: expect.stringMatching(/^GET .* failed: HPE_/),
  });
});

test('https, with and without a certificate that is valid', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-tls-'));
  const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-keyout', key, '-out', cert],
  ]);
  const secure = createHttpsServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) =>
    response.end('safe'),
  );
  const url = `https://localhost:${await listen(secure)}/`;
  const local = url.replace('localhost', '127.0.0.1');
  expect(await look(http({ url: local, verifyTls: false, bodyContains: 'safe' }))).toMatchObject({
    healthy: true,
  });
  expect(await look(http({ url: local }, { retries: 1 }))).toMatchObject({
    ...{ healthy: false, reason: expect.stringMatching(/failed: (DEPTH_ZERO_SELF_SIGNED_CERT|ERR_TLS)/) },
  });
  await close(secure);
  await rm(dir, { recursive: true });
});

test('a command', async () => {
  const command = (script: string, pace = {}) => quick({ type: 'command', argv: ['sh', '-c', script] }, pace);
  expect(await look(command('true'))).toMatchObject({ healthy: true, tries: 1 });
  expect(await look(command('echo 3 replicas behind; exit 2'))).toEqual({
    ...{ healthy: false, tries: 3, reason: 'its command exited with code 2: 3 replicas behind' },
  });
  expect(await look(command('sleep 30', { timeoutSeconds: 0.3, retries: 1 }))).toMatchObject({
    ...{ healthy: false, reason: expect.stringContaining('within 0.3 s') },
  });
});

test('an abort, and a cut connection', async () => {
  answer = () => undefined;
  const reason = new Error('enough');
  const controller = new AbortController();
  const looking = expect(look(http(), controller.signal)).rejects.toBe(reason);
  await once(web, 'request');
  controller.abort(reason);
  await looking;

  const other = await startServer();
  const one = other.of({ kind: 'none' }, { healthCheck: http({}, { retries: 50 }) });
  const lost = expect(one.health(calm)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await once(web, 'request');
  await other.sshd.cutConnections();
  await lost;
  await other.stop();
});

test('files alone are healthy without a check, and never stopped or started', async () => {
  const files = server.of({ kind: 'none' });
  expect(await files.health(calm)).toMatchObject({ healthy: true });
  expect(await files.stop(calm)).toMatchObject({ status: 'stopped', up: false });
});
