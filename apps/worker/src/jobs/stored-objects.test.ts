import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Storage } from '@tarfleet/storage';
import { openTestStorage } from '../testing.ts';
import { checkObject } from './check-object.ts';
import { clearPrefix } from './clear-prefix.ts';

const { signal } = new AbortController();
let t: Awaited<ReturnType<typeof openTestStorage>>;
beforeEach(async () => {
  t = await openTestStorage();
});
afterEach(() => t.close());

const put = (key: string, text: string) => t.storage.put(key, Readable.from([Buffer.from(text)]), { signal });
const expected = (key: string, text: string) => ({
  ...{ key, bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') },
});

test('an object is sound only when size and bytes are those that were stored', async () => {
  await put('p/one', 'hello');
  let seen = 0;
  const check = (text: string, key = 'p/one') =>
    checkObject(t.storage, expected(key, text), signal, (bytes) => {
      seen += bytes;
    });
  expect(await check('hello')).toMatchObject({ status: 'passed' });
  expect(seen).toBe(5);
  expect(await check('hello', 'p/two')).toMatchObject({ status: 'missing' });
  expect(await check('hello!')).toMatchObject({ status: 'size_mismatch' });
  await writeFile(join(t.path, 'p/one'), 'hellO');
  expect(await check('hello')).toMatchObject({ status: 'checksum_mismatch' });
});

test('a fault of the destination is no finding about the object; an abort is its reason', async () => {
  await put('p/one', 'hello');
  const broken: Storage = {
    ...t.storage,
    get: async () =>
      Readable.from(
        (async function* () {
          yield Buffer.from('he');
          throw new Error('connection lost');
        })(),
      ),
  };
  await expect(checkObject(broken, expected('p/one', 'hello'), signal, () => {})).rejects.toThrow(
    'connection lost',
  );
  const reason = new Error('stop');
  await expect(
    checkObject(t.storage, expected('p/one', 'hello'), AbortSignal.abort(reason), () => {}),
  ).rejects.toBe(reason);
});

test('clearing keeps what is named and what lies beside the prefix', async () => {
  for (const key of ['p/a/manifest.json', 'p/a/x/1', 'p/a/x/2', 'p/ab/x']) await put(key, 'four');
  const cleared = await clearPrefix(
    t.storage,
    'p/a',
    (key) => ['p/a/manifest.json', 'p/a/x/2'].includes(key),
    signal,
  );
  expect(cleared).toMatchObject({ objects: 1, bytes: 4 });
  expect(await t.keys('p')).toEqual(['p/a/manifest.json', 'p/a/x/2', 'p/ab/x']);
});

test('a manifest that goes is the first to go; a second run removes the rest', async () => {
  for (const key of ['p/a/1/1', 'p/a/manifest.json', 'p/a/z/1']) await put(key, 'four');
  const order: string[] = [];
  const failing: Storage = {
    ...t.storage,
    async delete(key, stop) {
      order.push(key);
      if (order.length === 2) throw new Error('the destination went away');
      await t.storage.delete(key, stop);
    },
  };
  await expect(clearPrefix(failing, 'p/a', () => false, signal)).rejects.toThrow('went away');
  expect(order[0]).toBe('p/a/manifest.json');
  expect(await t.keys('p')).toEqual(['p/a/1/1', 'p/a/z/1']);
  expect(await clearPrefix(t.storage, 'p/a', () => false, signal)).toMatchObject({ objects: 2, bytes: 8 });
  expect(await t.keys('p')).toEqual([]);
});
