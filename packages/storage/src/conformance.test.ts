// What every destination owes, run over each driver: what is stored comes back. How it breaks is in
// conformance-breaks.test.ts; what only one of them can show stands beside it.
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { MIB, never, pieces, sha256, subjects, useSubject } from './testing-subjects.ts';

describe.each(subjects)('%s', (_name, create) => {
  const here = useSubject(create);
  const { read, put, listed, expectNothingOf } = here;

  test('the check passes and leaves nothing', async () => {
    await here.storage.check(never);
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
    const result = await here.storage.put(key, body, { signal: never, sizeHint: size });
    expect(result).toEqual({ bytes: size, sha256: sha256(content) });
    expect(await here.storage.stat(key, never)).toMatchObject({ key, bytes: size });
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
    const result = await here.storage.put(key, body, { signal: never, ...(sizeHint ? { sizeHint } : {}) });
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
    await here.storage.create('create/manifest.json', Buffer.from('first'), never);
    await expect(
      here.storage.create('create/manifest.json', Buffer.from('second'), never),
    ).rejects.toMatchObject({
      code: 'OBJECT_EXISTS',
      retryable: false,
    });
    expect((await read('create/manifest.json')).toString()).toBe('first');
  });

  test('of eight writers that create the same object at once exactly one wins', async () => {
    const writers = Array.from({ length: 8 }, (_, n) => Buffer.from(`writer ${n}`));
    const results = await Promise.allSettled(
      writers.map((body) => here.storage.create('race/object', body, never)),
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
    expect(await here.storage.stat('missing/object', never)).toBeNull();
    await here.storage.delete('missing/object', never);
    expect(await listed('missing')).toEqual([]);
    // A folder of objects is no object.
    await put('missing/folder/object', Buffer.from('x'));
    await expect(read('missing/folder')).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    expect(await here.storage.stat('missing/folder', never)).toBeNull();
    await here.storage.delete('missing/folder', never);
    expect(await listed('missing')).toEqual(['missing/folder/object']);
  });

  test('delete removes one object and no other', async () => {
    await put('delete/a/one', Buffer.from('1'));
    await put('delete/a/two', Buffer.from('2'));
    await here.storage.delete('delete/a/one', never);
    expect(await listed('delete')).toEqual(['delete/a/two']);
    await here.storage.delete('delete/a/two', never);
    await expectNothingOf('delete');
  });

  test('more objects than a page holds are all listed, and those of a like-named folder are not', async () => {
    const keys = Array.from({ length: here.pageOf + 105 }, (_, n) => `pages/${n % 7}/object-${n}`);
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

  test('when an object was written is known, or not said', async () => {
    const near = (at: Date | null | undefined): void => {
      if (at === null) return;
      expect(Math.abs(Number(at) - Date.now())).toBeLessThan(60 * 60_000);
    };
    await put('dated/object', Buffer.from('x'));
    near((await here.storage.stat('dated/object', never))?.modifiedAt);
    for await (const { key, modifiedAt } of here.storage.list('dated', never)) {
      expect(key).toBe('dated/object');
      near(modifiedAt);
    }
  });

  test('what others put there is listed as theirs, its names safe to show, and cannot be opened', async () => {
    await put('others/ours', Buffer.from('x'));
    const shown = {
      'with space': 'with%20space',
      'plus+sign': 'plus%2Bsign',
      'per%20cent': 'per%2520cent',
      'sub folder/plain': 'sub%20folder/plain',
      ä: '%C3%A4',
      'a<b>&"c': 'a%3Cb%3E%26%22c',
      ...(here.listsByLine ? {} : { 'line\nbreak\u001b[31m': 'line%0Abreak%1B%5B31m' }),
      ['n'.repeat(201)]: 'n'.repeat(201),
    };
    for (const name of Object.keys(shown)) await here.putForeign(`others/${name}`, 'theirs');
    const found = await here.foreign('others');
    expect(found.map(({ key }) => key)).toEqual(
      Object.values(shown)
        .map((key) => `others/${key}`)
        .sort(),
    );
    for (const { key, bytes, modifiedAt } of found) {
      expect(bytes).toBe(6);
      if (modifiedAt !== null) expect(Number(modifiedAt)).toBeGreaterThan(Date.now() - 60 * 60_000);
      await expect(here.storage.delete(key, never)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    }
    expect((await listed('others')).length).toBe(found.length + 1);
    expect((await here.foreign('')).length).toBe(found.length);
  });

  test('a listing can be left before its end', async () => {
    await put('left/one', Buffer.from('1'));
    await put('left/two', Buffer.from('2'));
    for await (const object of here.storage.list('left', never)) {
      expect(object).toMatchObject({ key: expect.stringMatching(/^left\//), bytes: 1, foreign: false });
      break;
    }
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
    await expect(here.storage.create(key, Buffer.from('x'), never)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    });
    await expect(here.storage.stat(key, never)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(here.storage.delete(key, never)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});
