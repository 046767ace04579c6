import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Receiver, startReceiver } from '@tarfleet/testbed';
import { createAddressGuard, parseAllowed, type Resolve } from './address-guard.ts';
import { urlFault } from './check-url.ts';
import { post } from './post.ts';

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const LOCAL = createAddressGuard(parseAllowed('127.0.0.0/8'));
const send = (change: Partial<Parameters<typeof post>[0]> = {}) =>
  post({
    ...{ url: receiver.url, headers: { 'content-type': 'application/json' }, body: '{"a":1}' },
    ...{ guard: LOCAL, timeoutMs: 60_000, signal: new AbortController().signal },
    ...change,
  });

test('what is told arrives, and every 2xx is well', async () => {
  for (const status of [200, 202, 204]) {
    receiver.behave(status);
    expect(await send()).toEqual({ kind: 'delivered', status });
  }
  expect(receiver.requests[0]).toMatchObject({ body: '{"a":1}', path: '/hook' });
});

test('any other answer is tried again, and 410 is the last one', async () => {
  for (const status of [400, 404, 500, 503]) {
    receiver.behave(status);
    expect(await send()).toMatchObject({ kind: 'retry', status });
  }
  receiver.behave(410);
  expect(await send()).toMatchObject({ kind: 'gone', status: 410 });
});

test('a redirect is not followed, wherever it leads', async () => {
  const inside = await startReceiver();
  try {
    receiver.behave((response) => response.writeHead(307, { location: inside.url }).end());
    expect(await send()).toMatchObject({ kind: 'retry', status: 307 });
    expect(inside.requests).toEqual([]);
  } finally {
    await inside.close();
  }
});

test('a receiver that hangs, cuts, or is not there is tried again', async () => {
  receiver.behave('hang');
  const late = await send({ timeoutMs: 200 });
  expect(late).toMatchObject({ kind: 'retry', status: null, error: expect.stringContaining('0.2 seconds') });
  receiver.behave('cut');
  expect(await send()).toMatchObject({
    kind: 'retry',
    error: expect.stringContaining('closed the connection'),
  });
  const { url } = receiver;
  await receiver.close();
  expect(await send({ url })).toMatchObject({ kind: 'retry', error: expect.stringContaining('refused') });
  receiver = await startReceiver();
});

test('of an answer without end only the beginning is read', async () => {
  let written = 0;
  receiver.behave((response) => {
    response.writeHead(200);
    const more = (): void => {
      if (response.destroyed) return;
      written += 65_536;
      response.write(Buffer.alloc(65_536), () => setImmediate(more));
    };
    more();
  });
  expect(await send()).toEqual({ kind: 'delivered', status: 200 });
  expect(written).toBeLessThan(64 << 20);
  receiver.behave((response) => {
    response
      .writeHead(200, { 'content-length': '1000' })
      .write('half', () => response.socket?.resetAndDestroy());
  });
  expect(await send()).toEqual({ kind: 'delivered', status: 200 });
  receiver.behave((response) => response.writeHead(200).flushHeaders());
  expect(await send()).toEqual({ kind: 'delivered', status: 200 });
});

test('an endless header is no answer', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 200 OK\r\n');
    const more = (): void => {
      if (!socket.destroyed) socket.write(`x-${'a'.repeat(60_000)}: 1\r\n`, () => setImmediate(more));
    };
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await send({ url })).toMatchObject({ kind: 'retry', status: null });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('addresses inside are refused in every spelling, without a connection', async () => {
  const { port } = new URL(receiver.url);
  const guard = createAddressGuard(parseAllowed(''));
  for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', 'localhost', '0.0.0.0']) {
    const outcome = await send({ url: `http://${host}:${port}/`, guard });
    expect([host, outcome]).toEqual([
      host,
      { kind: 'retry', status: null, error: expect.stringContaining('WEBHOOK_ALLOWED') },
    ]);
  }
  expect(receiver.requests).toEqual([]);
});

test('a name that changes its address after it was looked at gains nothing', async () => {
  const { port } = new URL(receiver.url);
  const addresses = ['93.184.216.34', '127.0.0.1'];
  const rebinding: Resolve = (_host, _options, callback) =>
    callback(null, [{ address: addresses.shift() ?? '127.0.0.1', family: 4 }]);
  const guard = createAddressGuard(parseAllowed(''), rebinding);
  const url = `http://hooks.example.com:${port}/`;
  expect(await urlFault(guard, url)).toBeUndefined();
  expect(await send({ url, guard })).toMatchObject({ error: expect.stringContaining('WEBHOOK_ALLOWED') });
  expect(receiver.requests).toEqual([]);
  // The name does lead there, for those who may.
  const fair = createAddressGuard(parseAllowed('127.0.0.0/8'), rebinding);
  expect(await send({ url, guard: fair })).toMatchObject({ kind: 'delivered' });
});

test('a connection that led inside all the same is told nothing', async () => {
  // A guard whose resolver is fooled: what counts is where the socket has gone.
  const guard = createAddressGuard(parseAllowed(''));
  const fooled = { ...guard, lookup: LOCAL.lookup };
  const { port } = new URL(receiver.url);
  const outcome = await send({ url: `http://localhost:${port}/`, guard: fooled });
  expect(outcome).toMatchObject({ kind: 'retry', error: expect.stringContaining('WEBHOOK_ALLOWED') });
  expect(receiver.requests).toEqual([]);
});

test('a process that ends gives up at once', async () => {
  receiver.behave('hang');
  const stop = new AbortController();
  const sent = send({ signal: stop.signal });
  await receiver.got(1);
  stop.abort();
  expect(await sent).toEqual({ kind: 'stopped' });
});
