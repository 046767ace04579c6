// What only a server far away can do wrong: keys, networks, answers that are none. What happens to uploads is in
// s3-uploads.test.ts, the rest in conformance.test.ts.
import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { startS3 } from '@tarfleet/testbed';
import { createStorage } from '../create-storage.ts';
import { everyCall, failureOf, first, MIB, never, put, read, useFaultyS3 } from './testing-faults.ts';

const s3 = useFaultyS3();

test.each([
  ['secret key', { secretAccessKey: 'canary-2230-wrong' }],
  ['key id', { accessKeyId: 'CANARY2230WRONG' }],
])('a wrong %s is DESTINATION_AUTH_FAILED everywhere, and no key is told', async (_name, keys) => {
  for (const call of everyCall(s3.open({ keys }))) {
    const error = await failureOf(call());
    expect(error).toMatchObject({ code: 'DESTINATION_AUTH_FAILED', retryable: false });
    expect(error.message).toContain(s3.bucket);
    expect(error.message).toContain(s3.proxy.url);
    const everything = inspect(error, { depth: 10, showHidden: true }) + error.stack;
    expect(everything).not.toMatch(/canary-?2230/i);
    expect(everything).not.toContain(s3.server.secretAccessKey);
    expect(everything).not.toContain('Signature=');
  }
  expect(await s3.server.everything(s3.bucket)).toEqual([]);
});

test('a destination without keys is refused before anything is asked', () => {
  const config = { bucket: s3.bucket, region: s3.server.region, endpoint: s3.server.endpoint };
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
  for (const call of everyCall(s3.open({ config: { bucket: `${s3.bucket}-not-there` } }))) {
    expect(await failureOf(call())).toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
      retryable: false,
      message: expect.stringContaining(`${s3.bucket}-not-there`),
    });
  }
});

test('a server that is not there is DESTINATION_UNREACHABLE everywhere', async () => {
  const storage = s3.open({ tries: 2 });
  await s3.proxy.stop();
  for (const call of everyCall(storage)) {
    expect(await failureOf(call())).toMatchObject({
      code: 'DESTINATION_UNREACHABLE',
      retryable: true,
      message: expect.stringContaining(s3.proxy.url),
    });
  }
});

test('a full bucket is STORAGE_FULL and keeps nothing of what did not fit', async () => {
  // A quota can be given only to a server of our own; what a real one answers is the same code.
  const small = await startS3({ quotaBytes: 12 * MIB });
  try {
    await small.createBucket('small');
    const { accessKeyId, secretAccessKey } = small;
    const storage = s3.open({
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

test.each([
  ['cut', { cutAnswerAfter: 5 * MIB }],
  ['silent', { pauseAnswerAfter: 5 * MIB }],
])('a download that is %s in the middle is an error, never a short end', async (_name, fault) => {
  await put(s3.open(), 'a', randomBytes(12 * MIB));
  const storage = s3.open({ idleMs: 1000, tries: 1 });
  s3.proxy.decide = ({ method }) => (method === 'GET' ? fault : 'pass');
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
  const storage = s3.open();
  await put(storage, 'a', Buffer.from('content'));
  const faults = first(2, 'lose-answer' as const);
  s3.proxy.decide = ({ method }) => (method === 'GET' ? faults() : 'pass');
  expect((await read(storage, 'a')).toString()).toBe('content');
});

test('a reader that pauses longer than the server may is not cut off', async () => {
  const content = randomBytes(12 * MIB);
  await put(s3.open(), 'a', content);
  const storage = s3.open({ idleMs: 1000 });
  const chunks: Buffer[] = [];
  for await (const chunk of (await storage.get('a', { signal: never })) as AsyncIterable<Buffer>) {
    if (chunks.length === 3) await new Promise((resolve) => setTimeout(resolve, 3000));
    chunks.push(chunk);
  }
  expect(Buffer.concat(chunks).equals(content)).toBe(true);
});

test('a server that takes the connection and says nothing is given up', async () => {
  s3.proxy.decide = () => 'hang';
  const storage = s3.open({ idleMs: 200, tries: 1 });
  for (const call of everyCall(storage)) {
    expect(await failureOf(call())).toMatchObject({ code: 'DESTINATION_UNREACHABLE', retryable: true });
  }
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
  const storage = s3.open({ config: { endpoint } });
  try {
    expect(await failureOf(storage.get('a', { signal: never, start: 2, length: 4 }))).toMatchObject(failure);
  } finally {
    liar.closeAllConnections();
    await new Promise((resolve) => liar.close(resolve));
  }
});
