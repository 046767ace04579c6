// What every destination owes, run over each driver. What only one of them can show stands beside it.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { testS3 } from '@tarfleet/testbed';
import { createStorage } from './create-storage.ts';
import type { Storage } from './types.ts';

interface Subject {
  storage: Storage;
  /** Everything that lies in the destination, unfinished uploads included, seen without the driver. */
  everything(): Promise<string[]>;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
const id = '01890000-0000-7000-8000-000000000000';
const never = new AbortController().signal;

async function localSubject(): Promise<Subject> {
  const root = await mkdtemp(join(tmpdir(), 'tarfleet-storage-'));
  const storage = createStorage(
    { id, name: 'Here', type: 'local', config: { path: join(root, 'backups') } },
    null,
    { localAllowed: true, localRoots: [root] },
  );
  return {
    storage,
    async everything() {
      const found = await readdir(join(root, 'backups'), { recursive: true, withFileTypes: true });
      return found.map((entry) => join(entry.parentPath, entry.name).slice(`${root}/backups/`.length));
    },
    async close() {
      await storage.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** On the tests' own server, or on the one that S3_ENDPOINT names. */
async function s3Subject(prefix?: string): Promise<Subject> {
  const server = await testS3();
  const bucket = `conformance-${randomBytes(6).toString('hex')}`;
  await server.createBucket(bucket);
  const { accessKeyId, endpoint, region, secretAccessKey } = server;
  const config = { bucket, region, endpoint, ...(prefix === undefined ? {} : { prefix }) };
  const storage = createStorage(
    { id, name: 'There', type: 's3', config, secrets: { v: 1, keyId: 'none', enc: '', ct: '' } },
    { accessKeyId, secretAccessKey },
    { localAllowed: false },
  );
  return {
    storage,
    async everything() {
      const found = await server.everything(bucket);
      if (prefix === undefined) return found;
      expect(found.filter((key) => !key.startsWith(`${prefix}/`))).toEqual([]);
      return found.map((key) => key.slice(prefix.length + 1));
    },
    async close() {
      await storage.close();
      await server.stop();
    },
  };
}

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** In pieces that fit no block or part, as the streams of archives come. */
async function* pieces(content: Buffer, size = 99_991): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

/** Gives some bytes, then fails. */
function failing(bytes: number, error: Error): Readable {
  return Readable.from(
    (async function* () {
      yield* pieces(randomBytes(bytes));
      throw error;
    })(),
    { objectMode: false },
  );
}

/** Gives some bytes, tells, then waits for ever. */
function stalling(bytes: number, onStall: () => void): Readable {
  const content = randomBytes(bytes);
  let at = 0;
  return new Readable({
    read() {
      if (at >= content.length) return onStall();
      this.push(content.subarray(at, at + 99_991));
      at += 99_991;
    },
  });
}

const subjects: [string, () => Promise<Subject>][] = [
  ['local', localSubject],
  ['s3', () => s3Subject()],
  ['s3 below a prefix', () => s3Subject('some/where')],
];

describe.each(subjects)('%s', (_name, create) => {
  let subject: Subject;
  let storage: Storage;
  beforeAll(async () => {
    subject = await create();
    storage = subject.storage;
  });
  afterAll(() => subject.close());

  const read = async (key: string, start?: number, length?: number): Promise<Buffer> => {
    const range = { ...(start === undefined ? {} : { start }), ...(length === undefined ? {} : { length }) };
    return buffer(await storage.get(key, { signal: never, ...range }));
  };

  test('an abort before anybody reads waits in the stream and ends no process', async () => {
    await storage.put('unread', Readable.from([Buffer.from('content')]), { signal: never });
    const given = new AbortController();
    const reason = new Error('given up');
    const body = await storage.get('unread', { signal: given.signal });
    const closed = new Promise((resolve) => void body.once('close', resolve));
    given.abort(reason);
    await closed;
    expect(body.errored).toBe(reason);
  });
  const put = (key: string, content: Buffer): Promise<unknown> =>
    storage.put(key, Readable.from(pieces(content), { objectMode: false }), { signal: never });
  const listed = async (prefix: string): Promise<string[]> => {
    const keys: string[] = [];
    for await (const object of storage.list(prefix, never)) keys.push(object.key);
    return keys.sort();
  };
  /** Nothing in the destination bears this name, whole or in part. */
  const expectNothingOf = async (name: string): Promise<void> => {
    expect((await subject.everything()).filter((found) => found.includes(name))).toEqual([]);
  };

  test('the check passes and leaves nothing', async () => {
    await storage.check(never);
    await expectNothingOf('check');
  });

  test.each([
    ['no bytes', 0],
    ['one byte', 1],
    ['less than one part', 5 * MIB + 3],
    ['exactly one part', 8 * MIB],
    ['one byte more than a part', 8 * MIB + 1],
    ['several parts', 20 * MIB + 17],
  ])('an object comes back as it went: %s', async (_label, size) => {
    const content = randomBytes(size);
    const key = `round/trip-${size}.tar.gz`;
    const body = Readable.from(pieces(content), { objectMode: false });
    const result = await storage.put(key, body, { signal: never, sizeHint: size });
    expect(result).toEqual({ bytes: size, sha256: sha256(content) });
    expect(await storage.stat(key, never)).toEqual({ key, bytes: size });
    expect((await read(key)).equals(content)).toBe(true);
  });

  test.each([
    ['no guess', undefined],
    ['a guess that is too small', 10],
    ['a guess that is too big', 1 << 30],
  ])('a stream of unknown length is stored: %s', async (label, sizeHint) => {
    const content = randomBytes(11 * MIB + 5);
    const key = `unknown/${label.replaceAll(' ', '-')}`;
    const body = Readable.from(pieces(content), { objectMode: false });
    const result = await storage.put(key, body, { signal: never, ...(sizeHint ? { sizeHint } : {}) });
    expect(result).toEqual({ bytes: content.length, sha256: sha256(content) });
    expect(sha256(await read(key))).toBe(result.sha256);
  });

  test('ranges are read to the byte', async () => {
    const content = randomBytes(9 * MIB);
    await put('ranges/object', content);
    const ranges: [number | undefined, number | undefined][] = [
      [0, 1],
      [5, 10],
      [8 * MIB - 3, 7],
      [9 * MIB - 1, 1],
      [9 * MIB - 1, 100],
      [100, undefined],
      [undefined, 100],
      [9 * MIB, 10],
      [10 * MIB, undefined],
      [3, 0],
    ];
    for (const [start, length] of ranges) {
      const from = start ?? 0;
      const wanted = content.subarray(from, length === undefined ? undefined : from + length);
      expect((await read('ranges/object', start, length)).equals(wanted)).toBe(true);
    }
    await put('ranges/empty', Buffer.alloc(0));
    expect(await read('ranges/empty', 0, 10)).toHaveLength(0);
  });

  test('an object under the same key is replaced', async () => {
    const second = randomBytes(9 * MIB);
    await put('replace/object', randomBytes(10 * MIB));
    await put('replace/object', second);
    expect((await read('replace/object')).equals(second)).toBe(true);
    await put('replace/object', Buffer.from('third'));
    expect((await read('replace/object')).toString()).toBe('third');
  });

  test('create takes a free key once', async () => {
    await storage.create('create/manifest.json', Buffer.from('first'), never);
    await expect(storage.create('create/manifest.json', Buffer.from('second'), never)).rejects.toMatchObject({
      code: 'OBJECT_EXISTS',
      retryable: false,
    });
    expect((await read('create/manifest.json')).toString()).toBe('first');
  });

  test('of eight writers that create the same object at once exactly one wins', async () => {
    const writers = Array.from({ length: 8 }, (_, n) => Buffer.from(`writer ${n}`));
    const results = await Promise.allSettled(
      writers.map((body) => storage.create('race/object', body, never)),
    );
    const winners = writers.filter((_, n) => results[n]?.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    expect(await read('race/object')).toEqual(winners[0]);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'OBJECT_EXISTS' });
    }
    expect(await listed('race')).toEqual(['race/object']);
  });

  test('a missing object is said to be missing', async () => {
    await expect(read('missing/object')).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    await expect(read('missing/object', 3, 5)).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    expect(await storage.stat('missing/object', never)).toBeNull();
    await storage.delete('missing/object', never);
    expect(await listed('missing')).toEqual([]);
    // A folder of objects is no object.
    await put('missing/folder/object', Buffer.from('x'));
    await expect(read('missing/folder')).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    expect(await storage.stat('missing/folder', never)).toBeNull();
    await storage.delete('missing/folder', never);
    expect(await listed('missing')).toEqual(['missing/folder/object']);
  });

  test('delete removes one object and no other', async () => {
    await put('delete/a/one', Buffer.from('1'));
    await put('delete/a/two', Buffer.from('2'));
    await storage.delete('delete/a/one', never);
    expect(await listed('delete')).toEqual(['delete/a/two']);
    await storage.delete('delete/a/two', never);
    await expectNothingOf('delete');
  });

  test('more objects than a page holds are all listed, and those of a like-named folder are not', async () => {
    const keys = Array.from({ length: 1105 }, (_, n) => `pages/${n % 7}/object-${n}`);
    for (let at = 0; at < keys.length; at += 20) {
      await Promise.all(keys.slice(at, at + 20).map((key) => put(key, Buffer.from('x'))));
    }
    await put('pages-too/object', Buffer.from('x'));
    const wanted = keys.toSorted();
    expect(await listed('pages')).toEqual(wanted);
    expect(await listed('pages/')).toEqual(wanted);
    expect(await listed('pages/3')).toEqual(wanted.filter((key) => key.startsWith('pages/3/')));
    expect((await listed('')).filter((key) => key.startsWith('pages/'))).toEqual(wanted);
  });

  test('a listing can be left before its end', async () => {
    await put('left/one', Buffer.from('1'));
    await put('left/two', Buffer.from('2'));
    for await (const object of storage.list('left', never)) {
      expect(object).toEqual({ key: expect.stringMatching(/^left\//), bytes: 1 });
      break;
    }
  });

  test.each([0, 3 * MIB, 18 * MIB])('a body that fails after %d bytes leaves nothing', async (bytes) => {
    const error = new Error('the source broke');
    const body = failing(bytes, error);
    await expect(storage.put('broken/object', body, { signal: never })).rejects.toBe(error);
    expect(body.destroyed).toBe(true);
    await expectNothingOf('broken');
  });

  test('a body that was destroyed before, or ends without its end, is an error', async () => {
    const early = Readable.from(pieces(randomBytes(100)), { objectMode: false });
    early.destroy();
    await expect(storage.put('early/object', early, { signal: never })).rejects.toThrow();
    const late = stalling(9 * MIB, () => late.destroy());
    await expect(storage.put('early/object', late, { signal: never })).rejects.toThrow();
    await expectNothingOf('early');
  });

  test.each([0, 3 * MIB, 18 * MIB])('an abort after %d bytes leaves nothing', async (bytes) => {
    const reason = new Error('cancelled by a user');
    const abort = new AbortController();
    const body = stalling(bytes, () => abort.abort(reason));
    await expect(storage.put('aborted/object', body, { signal: abort.signal })).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    await expectNothingOf('aborted');
  });

  test('aborts at any moment leave either nothing or the whole object', async () => {
    const content = randomBytes(17 * MIB);
    for (const delay of [0, 5, 20, 40, 60, 80, 120, 200]) {
      const key = `moments/${delay}`;
      const abort = AbortSignal.timeout(delay);
      const body = Readable.from(pieces(content), { objectMode: false });
      const outcome = await storage.put(key, body, { signal: abort }).then(
        () => 'stored',
        (error: unknown) => (error === abort.reason ? 'aborted' : error),
      );
      if (outcome === 'stored') expect((await read(key)).equals(content)).toBe(true);
      else expect(outcome).toBe('aborted');
      await storage.delete(key, never);
      await expectNothingOf('moments');
    }
  });

  test('a signal that is already aborted starts nothing', async () => {
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    const body = Readable.from(pieces(Buffer.from('x')), { objectMode: false });
    await expect(storage.put('late/object', body, { signal })).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    await expect(storage.create('late/object', Buffer.from('x'), signal)).rejects.toBe(reason);
    await expect(storage.get('late/object', { signal })).rejects.toBe(reason);
    await expect(storage.stat('late/object', signal)).rejects.toBe(reason);
    await expect(storage.delete('late/object', signal)).rejects.toBe(reason);
    await expect(storage.check(signal)).rejects.toBe(reason);
    await expectNothingOf('late');
  });

  test.each([3, 9 * MIB])('a refusal before the commit of %d bytes leaves nothing', async (bytes) => {
    const refusal = new Error('another attempt has taken over');
    let seen = false;
    const body = Readable.from(pieces(randomBytes(bytes)), { objectMode: false });
    const beforeCommit = async (): Promise<void> => {
      seen = true;
      expect(await storage.stat('refused/object', never)).toBeNull();
      throw refusal;
    };
    await expect(storage.put('refused/object', body, { signal: never, beforeCommit })).rejects.toBe(refusal);
    expect(seen).toBe(true);
    await expectNothingOf('refused');
  });

  test('a refused or broken replacement leaves the object that was there', async () => {
    const content = randomBytes(9 * MIB);
    await put('kept/object', content);
    const error = new Error('no');
    await expect(storage.put('kept/object', failing(9 * MIB, error), { signal: never })).rejects.toBe(error);
    const beforeCommit = (): Promise<void> => Promise.reject(error);
    const body = Readable.from([Buffer.from('new')], { objectMode: false });
    await expect(storage.put('kept/object', body, { signal: never, beforeCommit })).rejects.toBe(error);
    expect((await read('kept/object')).equals(content)).toBe(true);
    expect((await subject.everything()).filter((found) => found.startsWith('kept/'))).toEqual([
      'kept/object',
    ]);
  });

  test('an object is not seen before it is whole', async () => {
    const body = Readable.from(pieces(randomBytes(17 * MIB)), { objectMode: false });
    const beforeCommit = async (): Promise<void> => {
      expect(await storage.stat('unseen/object', never)).toBeNull();
      expect(await listed('unseen')).toEqual([]);
    };
    await storage.put('unseen/object', body, { signal: never, beforeCommit });
    expect(await listed('unseen')).toEqual(['unseen/object']);
  });

  test('unfinished uploads of a dead writer are found and ended, and no object with them', async () => {
    await put('sweep/done', Buffer.from('done'));
    await put('sweep-not/done', Buffer.from('done'));
    const abort = new AbortController();
    const stalled: Promise<unknown>[] = [];
    for (const key of ['sweep/one', 'sweep/deep/two', 'sweep-not/three']) {
      await new Promise<void>((resolve) => {
        const body = stalling(9 * MIB, resolve);
        stalled.push(storage.put(key, body, { signal: abort.signal }).catch((error: unknown) => error));
      });
    }
    expect(await storage.abortUploads('sweep', never)).toBe(2);
    expect(await storage.abortUploads('sweep', never)).toBe(0);
    expect((await subject.everything()).filter((found) => found.startsWith('sweep/'))).toEqual([
      'sweep/done',
    ]);
    expect((await subject.everything()).filter((found) => found.includes('three'))).toHaveLength(1);
    abort.abort(new Error('end of the test'));
    await Promise.all(stalled);
    await expectNothingOf('three');
  });

  test('a read that is given up ends with the reason', async () => {
    const reason = new Error('enough');
    const abort = new AbortController();
    await put('given-up/object', randomBytes(9 * MIB));
    const stream = await storage.get('given-up/object', { signal: abort.signal });
    const reading = (async () => {
      for await (const _chunk of stream) abort.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    expect(stream.destroyed).toBe(true);
  });

  test('a reader may destroy its stream, and read slowly', async () => {
    const content = randomBytes(9 * MIB);
    await put('slow/object', content);
    (await storage.get('slow/object', { signal: never })).destroy();
    const stream = await storage.get('slow/object', { signal: never });
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });

  test.each([
    '',
    '/a',
    'a/',
    'a//b',
    '../a',
    'a/../b',
    './a',
    'a b',
    'ä',
    'a\\b',
    'a\0',
    `a.${'0'.repeat(16)}.part`,
  ])('a key that could lead elsewhere is refused: %j', async (key) => {
    await expect(put(key, Buffer.from('x'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(read(key)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(storage.create(key, Buffer.from('x'), never)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    });
    await expect(storage.stat(key, never)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(storage.delete(key, never)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});
