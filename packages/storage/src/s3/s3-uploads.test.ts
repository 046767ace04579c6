// What networks and servers do to uploads in the middle: lost parts, lost answers, aborts.
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { failureOf, first, isPart, MIB, never, put, read, useFaultyS3 } from './testing-faults.ts';

const s3 = useFaultyS3();

test('connections that are cut while parts travel cost another try, not the upload', async () => {
  const content = randomBytes(30 * MIB);
  const cut = first(3, { cutRequestAfter: 3 * MIB });
  s3.proxy.decide = ({ url }) => (isPart(url) ? cut() : 'pass');
  const storage = s3.open();
  await put(storage, 'a', content);
  expect((await read(storage, 'a')).equals(content)).toBe(true);
  expect(await s3.server.everything(s3.bucket)).toEqual(['a']);
});

test('an upload whose parts never come through fails and leaves nothing', async () => {
  s3.proxy.decide = ({ url }) => (url.includes('partNumber=2') ? { cutRequestAfter: MIB } : 'pass');
  const body = Readable.from([randomBytes(30 * MIB)], { objectMode: false });
  const error = await failureOf(s3.open().put('a', body, { signal: never }));
  expect(error).toMatchObject({ code: 'DESTINATION_UNREACHABLE', retryable: true });
  expect(body.destroyed).toBe(true);
  expect(await s3.server.everything(s3.bucket)).toEqual([]);
});

test('a body that waits for more is not waited for when a part has failed', async () => {
  s3.proxy.decide = ({ url }) => (isPart(url) ? { status: 403, code: 'AccessDenied' } : 'pass');
  const body = new Readable({ read() {} });
  body.push(randomBytes(9 * MIB));
  const error = await failureOf(s3.open().put('a', body, { signal: never }));
  expect(error).toMatchObject({ code: 'DESTINATION_AUTH_FAILED' });
  expect(body.destroyed).toBe(true);
  expect(await s3.server.everything(s3.bucket)).toEqual([]);
});

test('a small object whose connection is cut is sent again', async () => {
  const content = randomBytes(2 * MIB);
  const cut = first(2, { cutRequestAfter: MIB });
  s3.proxy.decide = ({ method }) => (method === 'PUT' ? cut() : 'pass');
  const storage = s3.open();
  await put(storage, 'a', content);
  expect((await read(storage, 'a')).equals(content)).toBe(true);
});

test.each([2 * MIB, 20 * MIB])('answers that are lost do no harm: %d bytes', async (size) => {
  const content = randomBytes(size);
  const seen = new Set<string>();
  s3.proxy.decide = ({ method, url }) => {
    // Of each kind of request the first answer: that of starting, of a part, of completing, of putting.
    const kind = `${method} ${isPart(url) ? 'part' : url.replace(/=[^&]*/g, '')}`;
    if (method === 'HEAD' || seen.has(kind)) return 'pass';
    seen.add(kind);
    return 'lose-answer';
  };
  const storage = s3.open();
  const result = await storage.put('a', Readable.from([content], { objectMode: false }), { signal: never });
  expect(result.bytes).toBe(size);
  expect(seen.size).toBeGreaterThanOrEqual(size > 8 * MIB ? 3 : 1);
  expect((await read(storage, 'a')).equals(content)).toBe(true);
  expect(await s3.server.everything(s3.bucket)).toEqual(['a']);
  await storage.create('made', Buffer.from('x'), never);
  await storage.delete('a', never);
  expect(await s3.server.everything(s3.bucket)).toEqual(['made']);
});

test('a completion or a put whose every answer is lost is found out to have worked', async () => {
  s3.proxy.decide = ({ method, url }) => {
    const commits = method === 'POST' ? url.includes('uploadId=') : method === 'PUT' && !isPart(url);
    return commits ? 'lose-answer' : 'pass';
  };
  const storage = s3.open();
  for (const size of [9 * MIB, MIB]) {
    const content = randomBytes(size);
    await put(storage, 'a', content);
    expect((await read(storage, 'a')).equals(content)).toBe(true);
  }
  await storage.create('made', Buffer.from('x'), never);
  expect(await failureOf(storage.create('made', Buffer.from('y'), never))).toMatchObject({
    code: 'OBJECT_EXISTS',
  });
  expect((await s3.server.everything(s3.bucket)).sort()).toEqual(['a', 'made']);
});

test('an upload of which nobody learned the id is found and ended', async () => {
  s3.proxy.decide = ({ method, url }) =>
    method === 'POST' && url.includes('uploads') ? 'lose-answer' : 'pass';
  expect(await failureOf(put(s3.open(), 'a', randomBytes(9 * MIB)))).toMatchObject({
    code: 'DESTINATION_UNREACHABLE',
  });
  expect(await s3.server.everything(s3.bucket)).toEqual([]);
});

test('a completion that the server refuses leaves nothing', async () => {
  s3.proxy.decide = ({ method, url }) =>
    method === 'POST' && url.includes('uploadId=') ? { status: 400, code: 'InvalidPart' } : 'pass';
  expect(await failureOf(put(s3.open(), 'a', randomBytes(9 * MIB)))).toMatchObject({
    code: 'STORAGE_FAILED',
    message: expect.stringContaining('InvalidPart'),
  });
  expect(await s3.server.everything(s3.bucket)).toEqual([]);
});

test('a server that asks to slow down is asked again, and given up at last', async () => {
  const slow = { status: 503, code: 'SlowDown' };
  const twice = first(2, slow);
  s3.proxy.decide = ({ url }) => (isPart(url) ? twice() : 'pass');
  const storage = s3.open();
  await put(storage, 'a', randomBytes(20 * MIB));
  s3.proxy.decide = ({ url }) => (isPart(url) ? slow : 'pass');
  const error = await failureOf(put(storage, 'b', randomBytes(20 * MIB)));
  expect(error).toMatchObject({ code: 'STORAGE_FAILED', retryable: true });
  expect(error.message).toContain('SlowDown');
  expect(await s3.server.everything(s3.bucket)).toEqual(['a']);
});

test('a server that goes away in the middle: the fault is told, and the sweep finds what is left', async () => {
  let parts = 0;
  s3.proxy.decide = ({ method, url }) => {
    parts += isPart(url) ? 1 : 0;
    return parts > 1 || (method === 'DELETE' && parts > 0) ? 'cut' : 'pass';
  };
  const lines: string[] = [];
  const storage = s3.open({ log: (line) => lines.push(line), tries: 2 });
  expect(await failureOf(put(storage, 'a/b', randomBytes(30 * MIB)))).toMatchObject({
    code: 'DESTINATION_UNREACHABLE',
  });
  expect(lines.join('')).toContain('could not be cleaned up');
  expect(lines.join('')).not.toContain(s3.server.secretAccessKey);
  expect(await s3.server.everything(s3.bucket)).toEqual(['a/b (unfinished)']);
  s3.proxy.decide = () => 'pass';
  expect(await storage.abortUploads('a', never)).toBe(1);
  expect(await s3.server.everything(s3.bucket)).toEqual([]);
});

test('an abort is heard while the server is silent, and leaves nothing', async () => {
  for (const size of [MIB, 30 * MIB]) {
    const reason = new Error('cancelled');
    const abort = new AbortController();
    s3.proxy.decide = ({ method, url }) => {
      if (method !== 'PUT' || (size > MIB && !isPart(url))) return 'pass';
      setTimeout(() => abort.abort(reason), 50);
      return 'hang';
    };
    expect(await failureOf(put(s3.open(), 'a', randomBytes(size), abort.signal))).toBe(reason);
    expect(await s3.server.everything(s3.bucket)).toEqual([]);
  }
});

test('an abort whose request the server carried out takes the object away again, unless one was there before', async () => {
  const reason = new Error('cancelled');
  const storage = s3.open();
  const putAborted = async (key: string): Promise<void> => {
    const abort = new AbortController();
    s3.proxy.decide = ({ method }) => {
      if (method !== 'PUT') return 'pass';
      // The server has it by then; the answer never comes back.
      setTimeout(() => abort.abort(reason), 300);
      return 'keep-answer';
    };
    expect(await failureOf(put(storage, key, Buffer.from('new'), abort.signal))).toBe(reason);
  };
  await putAborted('fresh');
  await put(s3.open({ config: { endpoint: s3.server.endpoint } }), 'old', Buffer.from('new'));
  await putAborted('old');
  expect(await s3.server.everything(s3.bucket)).toEqual(['old']);
});

test('where the server cannot create conditionally, it is looked first', async () => {
  s3.proxy.decide = ({ headers }) =>
    headers['if-none-match'] ? { status: 501, code: 'NotImplemented' } : 'pass';
  const storage = s3.open();
  await storage.create('a', Buffer.from('first'), never);
  expect(await failureOf(storage.create('a', Buffer.from('second'), never))).toMatchObject({
    code: 'OBJECT_EXISTS',
  });
  expect((await read(storage, 'a')).toString()).toBe('first');
});
