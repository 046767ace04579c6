// What only a server far away can do wrong: keys, networks, answers that are lost. The rest is in conformance.test.ts.
import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { S3DestinationConfig } from '@tarfleet/contracts';
import { createLogger } from '@tarfleet/kernel';
import { type FaultProxy, type RunningS3, startFaultProxy, startS3, testS3 } from '@tarfleet/testbed';
import { createStorage } from '../create-storage.ts';
import type { Storage } from '../types.ts';
import { withCheck } from '../with-check.ts';
import { createS3Driver } from './create-s3-driver.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;

let server: RunningS3;
let bucket: string;
let proxy: FaultProxy;
const opened: Storage[] = [];
beforeAll(async () => {
  server = await testS3();
});
afterAll(() => server.stop());
beforeEach(async () => {
  bucket = `faults-${randomBytes(6).toString('hex')}`;
  await server.createBucket(bucket);
  proxy = await startFaultProxy(server.endpoint);
});
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
  await proxy.stop();
});

interface Changes {
  config?: Partial<S3DestinationConfig>;
  keys?: { accessKeyId?: string; secretAccessKey?: string };
  idleMs?: number;
  tries?: number;
  log?: (line: string) => void;
}

/** Through the proxy, with short patience. */
function open({ config, keys, idleMs = 10_000, tries = 4, log }: Changes = {}): Storage {
  const { accessKeyId, region, secretAccessKey } = server;
  const driver = createS3Driver({
    config: { bucket, region, endpoint: proxy.url, ...config },
    keys: { accessKeyId, secretAccessKey, ...keys },
    timeouts: { connectMs: 5000, idleMs },
    patience: { tries, delayMs: 10, maxDelayMs: 50 },
    ...(log ? { logger: createLogger({ level: 'warn', process: 'test', destination: { write: log } }) } : {}),
  });
  const storage = withCheck(driver, 'The destination There');
  opened.push(storage);
  return storage;
}

const put = (storage: Storage, key: string, content: Buffer, signal = never): Promise<unknown> =>
  storage.put(key, Readable.from([content], { objectMode: false }), { signal });
const read = async (storage: Storage, key: string): Promise<Buffer> =>
  buffer(await storage.get(key, { signal: never }));
const list = async (storage: Storage): Promise<string[]> => {
  const keys: string[] = [];
  for await (const object of storage.list('', never)) keys.push(object.key);
  return keys;
};

/** Every call that a missing bucket or a wrong key must fail. */
function everyCall(storage: Storage): (() => Promise<unknown>)[] {
  return [
    () => put(storage, 'a', Buffer.from('x')),
    () => put(storage, 'a', randomBytes(9 * MIB)),
    () => storage.create('a', Buffer.from('x'), never),
    () => storage.get('a', { signal: never }),
    () => storage.stat('a', never),
    () => list(storage),
    () => storage.delete('a', never),
    () => storage.abortUploads('a', never),
    () => storage.check(never),
  ];
}

/** The error of a call, which must fail. */
const failureOf = (call: Promise<unknown>): Promise<Error & Record<string, unknown>> =>
  call.then(
    () => Promise.reject(new Error('it should have failed')),
    (error) => error,
  );

const isPart = (url: string): boolean => url.includes('partNumber=');
/** Does something to the first so many requests of a sort. */
function first<T>(times: number, fault: T): () => T | 'pass' {
  let left = times;
  return () => {
    left -= 1;
    return left >= 0 ? fault : 'pass';
  };
}

test.each([
  ['secret key', { secretAccessKey: 'canary-2230-wrong' }],
  ['key id', { accessKeyId: 'CANARY2230WRONG' }],
])('a wrong %s is DESTINATION_AUTH_FAILED everywhere, and no key is told', async (_name, keys) => {
  for (const call of everyCall(open({ keys }))) {
    const error = await failureOf(call());
    expect(error).toMatchObject({ code: 'DESTINATION_AUTH_FAILED', retryable: false });
    expect(error.message).toContain(bucket);
    expect(error.message).toContain(proxy.url);
    const everything = inspect(error, { depth: 10, showHidden: true }) + error.stack;
    expect(everything).not.toMatch(/canary-?2230/i);
    expect(everything).not.toContain(server.secretAccessKey);
    expect(everything).not.toContain('Signature=');
  }
  expect(await server.everything(bucket)).toEqual([]);
});

test('a destination without keys is refused before anything is asked', () => {
  const config = { bucket, region: server.region, endpoint: server.endpoint };
  const id = '01890000-0000-7000-8000-000000000000';
  const target = {
    id,
    name: 'There',
    type: 's3' as const,
    config,
    secrets: { v: 1 as const, keyId: '', enc: '', ct: '' },
  };
  for (const secrets of [null, {}, { accessKeyId: 'A' }, { accessKeyId: '', secretAccessKey: 'x' }]) {
    expect(() => createStorage(target, secrets, { localAllowed: false })).toThrow(
      expect.objectContaining({ code: 'DESTINATION_AUTH_FAILED' }),
    );
  }
});

test('a missing bucket is DESTINATION_NOT_FOUND everywhere', async () => {
  for (const call of everyCall(open({ config: { bucket: `${bucket}-not-there` } }))) {
    expect(await failureOf(call())).toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
      retryable: false,
      message: expect.stringContaining(`${bucket}-not-there`),
    });
  }
});

test('a server that is not there is DESTINATION_UNREACHABLE everywhere', async () => {
  const storage = open({ tries: 2 });
  await proxy.stop();
  for (const call of everyCall(storage)) {
    expect(await failureOf(call())).toMatchObject({
      code: 'DESTINATION_UNREACHABLE',
      retryable: true,
      message: expect.stringContaining(proxy.url),
    });
  }
});

test('a full bucket is STORAGE_FULL and keeps nothing of what did not fit', async () => {
  // A quota can be given only to a server of our own; what a real one answers is the same code.
  const small = await startS3({ quotaBytes: 12 * MIB });
  try {
    await small.createBucket('small');
    const { accessKeyId, secretAccessKey } = small;
    const storage = open({
      config: { bucket: 'small', endpoint: small.endpoint },
      keys: { accessKeyId, secretAccessKey },
    });
    await put(storage, 'kept', randomBytes(MIB));
    const full = { code: 'STORAGE_FULL', retryable: false, message: expect.stringContaining('small') };
    expect(await failureOf(put(storage, 'big', randomBytes(20 * MIB)))).toMatchObject(full);
    expect(await small.everything('small')).toEqual(['kept']);
    await put(storage, 'fits', randomBytes(9 * MIB));
    expect(await failureOf(put(storage, 'more', randomBytes(5 * MIB)))).toMatchObject(full);
    expect(await failureOf(storage.create('made', randomBytes(5 * MIB), never))).toMatchObject(full);
    expect(await small.everything('small')).toEqual(['fits', 'kept']);
  } finally {
    await small.stop();
  }
});

test('connections that are cut while parts travel cost another try, not the upload', async () => {
  const content = randomBytes(30 * MIB);
  const cut = first(3, { cutRequestAfter: 3 * MIB });
  proxy.decide = ({ url }) => (isPart(url) ? cut() : 'pass');
  const storage = open();
  await put(storage, 'a', content);
  expect((await read(storage, 'a')).equals(content)).toBe(true);
  expect(await server.everything(bucket)).toEqual(['a']);
});

test('an upload whose parts never come through fails and leaves nothing', async () => {
  proxy.decide = ({ url }) => (url.includes('partNumber=2') ? { cutRequestAfter: MIB } : 'pass');
  const body = Readable.from([randomBytes(30 * MIB)], { objectMode: false });
  const error = await failureOf(open().put('a', body, { signal: never }));
  expect(error).toMatchObject({ code: 'DESTINATION_UNREACHABLE', retryable: true });
  expect(body.destroyed).toBe(true);
  expect(await server.everything(bucket)).toEqual([]);
});

test('a body that waits for more is not waited for when a part has failed', async () => {
  proxy.decide = ({ url }) => (isPart(url) ? { status: 403, code: 'AccessDenied' } : 'pass');
  const body = new Readable({ read() {} });
  body.push(randomBytes(9 * MIB));
  const error = await failureOf(open().put('a', body, { signal: never }));
  expect(error).toMatchObject({ code: 'DESTINATION_AUTH_FAILED' });
  expect(body.destroyed).toBe(true);
  expect(await server.everything(bucket)).toEqual([]);
});

test('a small object whose connection is cut is sent again', async () => {
  const content = randomBytes(2 * MIB);
  const cut = first(2, { cutRequestAfter: MIB });
  proxy.decide = ({ method }) => (method === 'PUT' ? cut() : 'pass');
  const storage = open();
  await put(storage, 'a', content);
  expect((await read(storage, 'a')).equals(content)).toBe(true);
});

test.each([2 * MIB, 20 * MIB])('answers that are lost do no harm: %d bytes', async (size) => {
  const content = randomBytes(size);
  const seen = new Set<string>();
  proxy.decide = ({ method, url }) => {
    // Of each kind of request the first answer: that of starting, of a part, of completing, of putting.
    const kind = `${method} ${isPart(url) ? 'part' : url.replace(/=[^&]*/g, '')}`;
    if (method === 'HEAD' || seen.has(kind)) return 'pass';
    seen.add(kind);
    return 'lose-answer';
  };
  const storage = open();
  const result = await storage.put('a', Readable.from([content], { objectMode: false }), { signal: never });
  expect(result.bytes).toBe(size);
  expect(seen.size).toBeGreaterThanOrEqual(size > 8 * MIB ? 3 : 1);
  expect((await read(storage, 'a')).equals(content)).toBe(true);
  expect(await server.everything(bucket)).toEqual(['a']);
  await storage.create('made', Buffer.from('x'), never);
  await storage.delete('a', never);
  expect(await server.everything(bucket)).toEqual(['made']);
});

test('a completion or a put whose every answer is lost is found out to have worked', async () => {
  proxy.decide = ({ method, url }) => {
    const commits = method === 'POST' ? url.includes('uploadId=') : method === 'PUT' && !isPart(url);
    return commits ? 'lose-answer' : 'pass';
  };
  const storage = open();
  for (const size of [9 * MIB, MIB]) {
    const content = randomBytes(size);
    await put(storage, 'a', content);
    expect((await read(storage, 'a')).equals(content)).toBe(true);
  }
  await storage.create('made', Buffer.from('x'), never);
  expect(await failureOf(storage.create('made', Buffer.from('y'), never))).toMatchObject({
    code: 'OBJECT_EXISTS',
  });
  expect((await server.everything(bucket)).sort()).toEqual(['a', 'made']);
});

test('an upload of which nobody learned the id is found and ended', async () => {
  proxy.decide = ({ method, url }) => (method === 'POST' && url.includes('uploads') ? 'lose-answer' : 'pass');
  expect(await failureOf(put(open(), 'a', randomBytes(9 * MIB)))).toMatchObject({
    code: 'DESTINATION_UNREACHABLE',
  });
  expect(await server.everything(bucket)).toEqual([]);
});

test('a completion that the server refuses leaves nothing', async () => {
  proxy.decide = ({ method, url }) =>
    method === 'POST' && url.includes('uploadId=') ? { status: 400, code: 'InvalidPart' } : 'pass';
  expect(await failureOf(put(open(), 'a', randomBytes(9 * MIB)))).toMatchObject({
    code: 'STORAGE_FAILED',
    message: expect.stringContaining('InvalidPart'),
  });
  expect(await server.everything(bucket)).toEqual([]);
});

test('a server that asks to slow down is asked again, and given up at last', async () => {
  const slow = { status: 503, code: 'SlowDown' };
  const twice = first(2, slow);
  proxy.decide = ({ url }) => (isPart(url) ? twice() : 'pass');
  const storage = open();
  await put(storage, 'a', randomBytes(20 * MIB));
  proxy.decide = ({ url }) => (isPart(url) ? slow : 'pass');
  const error = await failureOf(put(storage, 'b', randomBytes(20 * MIB)));
  expect(error).toMatchObject({ code: 'STORAGE_FAILED', retryable: true });
  expect(error.message).toContain('SlowDown');
  expect(await server.everything(bucket)).toEqual(['a']);
});

test('a server that goes away in the middle: the fault is told, and the sweep finds what is left', async () => {
  let parts = 0;
  proxy.decide = ({ method, url }) => {
    parts += isPart(url) ? 1 : 0;
    return parts > 1 || (method === 'DELETE' && parts > 0) ? 'cut' : 'pass';
  };
  const lines: string[] = [];
  const storage = open({ log: (line) => lines.push(line), tries: 2 });
  expect(await failureOf(put(storage, 'a/b', randomBytes(30 * MIB)))).toMatchObject({
    code: 'DESTINATION_UNREACHABLE',
  });
  expect(lines.join('')).toContain('could not be cleaned up');
  expect(lines.join('')).not.toContain(server.secretAccessKey);
  expect(await server.everything(bucket)).toEqual(['a/b (unfinished)']);
  proxy.decide = () => 'pass';
  expect(await storage.abortUploads('a', never)).toBe(1);
  expect(await server.everything(bucket)).toEqual([]);
});

test('an abort is heard while the server is silent, and leaves nothing', async () => {
  for (const size of [MIB, 30 * MIB]) {
    const reason = new Error('cancelled');
    const abort = new AbortController();
    proxy.decide = ({ method, url }) => {
      if (method !== 'PUT' || (size > MIB && !isPart(url))) return 'pass';
      setTimeout(() => abort.abort(reason), 50);
      return 'hang';
    };
    expect(await failureOf(put(open(), 'a', randomBytes(size), abort.signal))).toBe(reason);
    expect(await server.everything(bucket)).toEqual([]);
  }
});

test('an abort whose request the server carried out takes the object away again, unless one was there before', async () => {
  const reason = new Error('cancelled');
  const storage = open();
  const putAborted = async (key: string): Promise<void> => {
    const abort = new AbortController();
    proxy.decide = ({ method }) => {
      if (method !== 'PUT') return 'pass';
      // The server has it by then; the answer never comes back.
      setTimeout(() => abort.abort(reason), 300);
      return 'keep-answer';
    };
    expect(await failureOf(put(storage, key, Buffer.from('new'), abort.signal))).toBe(reason);
  };
  await putAborted('fresh');
  await put(open({ config: { endpoint: server.endpoint } }), 'old', Buffer.from('new'));
  await putAborted('old');
  expect(await server.everything(bucket)).toEqual(['old']);
});

test.each([
  ['cut', { cutAnswerAfter: 5 * MIB }],
  ['silent', { pauseAnswerAfter: 5 * MIB }],
])('a download that is %s in the middle is an error, never a short end', async (_name, fault) => {
  await put(open(), 'a', randomBytes(12 * MIB));
  const storage = open({ idleMs: 1000 });
  proxy.decide = ({ method }) => (method === 'GET' ? fault : 'pass');
  for (const range of [{}, { start: MIB, length: 8 * MIB }]) {
    const stream = await storage.get('a', { signal: never, ...range });
    expect(await failureOf(buffer(stream))).toMatchObject({
      code: 'DESTINATION_UNREACHABLE',
      retryable: true,
    });
    expect(stream.destroyed).toBe(true);
  }
});

test('a download that cannot be opened at first is opened by another try', async () => {
  const storage = open();
  await put(storage, 'a', Buffer.from('content'));
  const faults = first(2, 'lose-answer' as const);
  proxy.decide = ({ method }) => (method === 'GET' ? faults() : 'pass');
  expect((await read(storage, 'a')).toString()).toBe('content');
});

test('a reader that pauses longer than the server may is not cut off', async () => {
  const content = randomBytes(12 * MIB);
  await put(open(), 'a', content);
  const storage = open({ idleMs: 1000 });
  const chunks: Buffer[] = [];
  for await (const chunk of (await storage.get('a', { signal: never })) as AsyncIterable<Buffer>) {
    if (chunks.length === 3) await new Promise((resolve) => setTimeout(resolve, 3000));
    chunks.push(chunk);
  }
  expect(Buffer.concat(chunks).equals(content)).toBe(true);
});

test('a server that takes the connection and says nothing is given up', async () => {
  proxy.decide = () => 'hang';
  const storage = open({ idleMs: 200, tries: 1 });
  for (const call of everyCall(storage)) {
    expect(await failureOf(call())).toMatchObject({ code: 'DESTINATION_UNREACHABLE', retryable: true });
  }
});

test('where the server cannot create conditionally, it is looked first', async () => {
  proxy.decide = ({ headers }) =>
    headers['if-none-match'] ? { status: 501, code: 'NotImplemented' } : 'pass';
  const storage = open();
  await storage.create('a', Buffer.from('first'), never);
  expect(await failureOf(storage.create('a', Buffer.from('second'), never))).toMatchObject({
    code: 'OBJECT_EXISTS',
  });
  expect((await read(storage, 'a')).toString()).toBe('first');
});

test.each<[string, RequestListener, object]>([
  [
    'a web page',
    (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html><p>Welcome'),
    { code: 'STORAGE_FAILED' },
  ],
  [
    'the whole object instead of a range',
    (_request, response) => response.writeHead(200, { 'content-length': 10 }).end('0123456789'),
    { code: 'STORAGE_FAILED', message: expect.stringContaining('not the part') },
  ],
  [
    'no length',
    (_request, response) => response.writeHead(206, { 'content-range': 'bytes 2-5/10' }).end('2345'),
    { code: 'STORAGE_FAILED', message: expect.stringContaining('how long') },
  ],
])('a server that answers with %s is not believed', async (_name, listener, failure) => {
  const liar = createServer(listener);
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
  const storage = open({ config: { endpoint } });
  try {
    expect(await failureOf(storage.get('a', { signal: never, start: 2, length: 4 }))).toMatchObject(failure);
  } finally {
    liar.closeAllConnections();
    await new Promise((resolve) => liar.close(resolve));
  }
});
