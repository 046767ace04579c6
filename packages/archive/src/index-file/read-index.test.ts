import { PassThrough, Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import fc from 'fast-check';
import { cut } from '../test-streams.ts';
import type { IndexEntry } from './format.ts';
import { openIndex } from './read-index.ts';
import {
  type Content,
  collect,
  content,
  headerOf,
  readAll,
  readText,
  textOf,
} from './testing/index-files.ts';

const corrupted = expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' });

const one = (path: string, more: Partial<IndexEntry> = {}): IndexEntry => ({
  ...{ path: Buffer.from(path), type: 'file', size: 3, mode: 0o644, uid: 0, gid: 0, mtime: '1.5' },
  ...{ ctime: '2.25', inode: '7', linkTarget: null, sha256: 'ab'.repeat(32), again: false },
  ...{ xattrs: '', as: null, copy: null },
  ...{ at: { archive: 0, offset: 512, bytes: 1024 }, ...more },
});
const sample: Content = {
  members: [[0, 500, 900], [0]],
  entries: [
    one('/srv', { type: 'directory', size: 0, sha256: null }),
    one('/srv/a', { at: { archive: 1, offset: 0, bytes: 512 } }),
    { ...one('/'), path: Buffer.from('/srv/caf\xe9', 'latin1') },
    one('/srv/l', { type: 'symlink', linkTarget: Buffer.from([0xff, 0x0a]), sha256: null }),
  ],
};
const lines = async (): Promise<string[]> => (await textOf(sample)).trimEnd().split('\n');

describe('what was written comes back', () => {
  test('any entries, cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(content, fc.array(fc.nat(), { maxLength: 8 }), async (written, places) => {
        const stored = gzipSync(await textOf(written));
        const read = await readAll(cut(stored, places));
        expect(read).toEqual({ header: headerOf(written.members), ...written });
      }),
      { numRuns: 300 },
    );
  });

  test('byte by byte, and in many gzip members', async () => {
    const text = await textOf(sample);
    const expected = { header: headerOf(sample.members), ...sample };
    expect(await readAll(cut(gzipSync(text), 'bytes'))).toEqual(expected);
    const parts = cut(Buffer.from(text), [1, 100, 101, 500]).map((part) => gzipSync(part));
    expect(await readAll(parts)).toEqual(expected);
    expect(await readAll(cut(Buffer.concat(parts), 'bytes'))).toEqual(expected);
  });

  test('more members than stand on one line', async () => {
    const many: Content = {
      members: [Array.from({ length: 25_001 }, (_, n) => n * 3)],
      entries: [one('/a')],
    };
    expect((await textOf(many)).split('\n').filter((line) => line.includes('"members":['))).toHaveLength(3);
    expect((await readText(await textOf(many))).members).toEqual(many.members);
  });

  test('no entries at all', async () => {
    expect((await readText(await textOf({ members: [[0]], entries: [] }))).entries).toEqual([]);
  });
});

describe('what is not one whole index is refused', () => {
  test('cut at any byte, compressed or not', async () => {
    const text = await textOf(sample);
    const stored = gzipSync(text);
    for (let length = 0; length < stored.length; length += 1) {
      await expect(readAll([stored.subarray(0, length)])).rejects.toEqual(corrupted);
    }
    for (let length = 0; length < text.length; length += 1) {
      await expect(readText(text.slice(0, length))).rejects.toEqual(corrupted);
    }
  });

  test('any flipped bit is found, or changes nothing', async () => {
    const stored = gzipSync(await textOf(sample));
    const whole = await readAll([stored]);
    let idle = 0;
    for (let at = 0; at < stored.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const flipped = Buffer.from(stored);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        const read = await readAll([flipped]).catch((error: unknown) => error);
        if (read instanceof AppError) expect(read).toEqual(corrupted);
        else {
          expect(read).toEqual(whole);
          idle += 1;
        }
      }
    }
    // RFC 1952: the flag "text", the time, the level and the system; RFC 1951: what fills up the last byte.
    expect(idle).toBeGreaterThanOrEqual(1 + 6 * 8);
    expect(idle).toBeLessThanOrEqual(1 + 6 * 8 + 7);
  });

  test.each([
    ['a byte', Buffer.from('x')],
    ['zeros', Buffer.alloc(700)],
    ['text', Buffer.from('{"entries":0}\n')],
    ['half a member', gzipSync('{"entries":0}\n').subarray(0, 20)],
    ['an end of its own', gzipSync('{"entries":4}\n')],
  ])('%s behind it', async (_what, more) => {
    const stored = gzipSync(await textOf(sample));
    await expect(readAll([Buffer.concat([stored, more])])).rejects.toEqual(corrupted);
    await expect(readAll([stored, more])).rejects.toEqual(corrupted);
    await expect(readAll(cut(Buffer.concat([stored, more]), 'bytes'))).rejects.toEqual(corrupted);
  });

  const entryLine = (path: string) => ({
    ...{ path, type: 'file', size: 1, mode: 0, uid: 0, gid: 0, mtime: '1', at: [0, 0, 512] },
  });
  const json = JSON.stringify;
  type Edit = (all: string[]) => (string | undefined)[];
  const edits: [string, Edit][] = [
    ['no header', (all) => all.slice(1)],
    ['two headers', (all) => [all[0], ...all]],
    ['a line left out', (all) => [...all.slice(0, 4), ...all.slice(5)]],
    ['a line doubled', (all) => [...all.slice(0, 5), ...all.slice(4)]],
    ['two lines exchanged', (all) => [...all.slice(0, 4), all[5], all[4], ...all.slice(6)]],
    [
      'a line of another index added, not counted',
      (all) => [...all.slice(0, 7), json(entryLine('/srv/z')), all[7]],
    ],
    ['lines behind its end', (all) => [...all, json({ entries: 4 })]],
    ['an empty line', (all) => [...all.slice(0, 4), '', ...all.slice(4)]],
    ['no end', (all) => all.slice(0, -1)],
    ['an end that counts one less', (all) => [...all.slice(0, -1), json({ entries: 3 })]],
    ['an end that counts one more', (all) => [...all.slice(0, -1), json({ entries: 5 })]],
    ['a line that is no JSON', (all) => [...all.slice(0, 4), '{"path":', ...all.slice(5)]],
    ['a line that is no object', (all) => [...all.slice(0, 4), 'null', ...all.slice(5)]],
    ['a line that is a list', (all) => [...all.slice(0, 4), '[]', ...all.slice(5)]],
    [
      'a field that nobody knows',
      (all) => [...all.slice(0, -2), json({ ...entryLine('/t'), x: 1 }), all.at(-1)],
    ],
    ['a relative path', (all) => [...all.slice(0, -2), json(entryLine('srv/z')), all.at(-1)]],
    ['a path with NUL', (all) => [...all.slice(0, -2), json(entryLine('/srv/z\0')), all.at(-1)]],
    ['no path', (all) => [...all.slice(0, -2), json({ ...entryLine('/'), path: undefined }), all.at(-1)]],
    ['two paths', (all) => [...all.slice(0, -2), json({ ...entryLine('/z'), path_b64: 'L3o=' }), all.at(-1)]],
    [
      'an entry in an archive that is not there',
      (all) => [...all.slice(0, -2), json({ ...entryLine('/z'), at: [2, 0, 512] }), all.at(-1)],
    ],
    [
      'an entry below zero',
      (all) => [...all.slice(0, -2), json({ ...entryLine('/z'), at: [0, -512, 512] }), all.at(-1)],
    ],
    [
      'an entry that has no bytes',
      (all) => [...all.slice(0, -2), json({ ...entryLine('/z'), at: [0, 0, 0] }), all.at(-1)],
    ],
    [
      'an entry between two blocks of tar',
      (all) => [...all.slice(0, -2), json({ ...entryLine('/z'), at: [0, 100, 512] }), all.at(-1)],
    ],
    ['no table of an archive', (all) => [all[0], all[1], ...all.slice(3)]],
    ['a table twice', (all) => [all[0], all[1], ...all.slice(1)]],
    ['a table behind an entry', (all) => [all[0], all[1], all[3], all[2], ...all.slice(4)]],
    [
      'a table that does not begin at 0',
      (all) => [all[0], json({ archive: 0, members: [1, 500, 900] }), ...all.slice(2)],
    ],
    [
      'a table out of order',
      (all) => [all[0], json({ archive: 0, members: [0, 900, 500] }), ...all.slice(2)],
    ],
    [
      'a table with a member twice',
      (all) => [all[0], json({ archive: 0, members: [0, 500, 500] }), ...all.slice(2)],
    ],
    ['a table too short', (all) => [all[0], json({ archive: 0, members: [0, 500] }), ...all.slice(2)]],
    [
      'a table too long',
      (all) => [all[0], json({ archive: 0, members: [0, 500, 900, 901] }), ...all.slice(2)],
    ],
    ['an empty table', (all) => [all[0], json({ archive: 0, members: [] }), ...all.slice(1)]],
    [
      'a table of an archive that is not there',
      (all) => [all[0], json({ archive: 2, members: [0] }), ...all.slice(1)],
    ],
    [
      'a table with parts of members',
      (all) => [all[0], json({ archive: 0, members: [0, 0.5, 900] }), ...all.slice(2)],
    ],
  ];
  test.each(edits)('%s', async (_what, edit) => {
    await expect(readText(`${edit(await lines()).join('\n')}\n`)).rejects.toEqual(corrupted);
  });

  test('names that are not UTF-8 where only UTF-8 may stand', async () => {
    const bytes = Buffer.from((await textOf(sample)).replace('"/srv/a"', '"/srv/\xe9"'), 'latin1');
    await expect(readText(bytes)).rejects.toEqual(corrupted);
  });

  test('headers of another kind, or of a later version', async () => {
    const [, ...rest] = await lines();
    const read = (header: object) => readText(`${[JSON.stringify(header), ...rest].join('\n')}\n`);
    const header = headerOf(sample.members);
    await read(header);
    await expect(read({ ...header, version: 3 })).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
    await expect(read({ ...header, version: 3, format: 'other' })).rejects.toEqual(corrupted);
    await expect(read({ ...header, version: 0 })).rejects.toEqual(corrupted);
    await expect(read({ ...header, archives: [] })).rejects.toEqual(corrupted);
    const [own, other] = header.archives;
    for (const name of ['/etc/passwd', '../../x', 'a.tar', '-x.tar.gz', 'a\n.tar.gz', '..']) {
      await expect(read({ ...header, archives: [own, { ...other, name }] })).rejects.toEqual(corrupted);
    }
  });

  test('another name where none can be, and what version 1 did not know', async () => {
    const [first = '', ...rest] = await lines();
    const read = (change: object, version = 2) => {
      const changed = rest.map((line) =>
        line.includes('"/srv/a"') ? JSON.stringify({ ...JSON.parse(line), ...change }) : line,
      );
      const header = JSON.stringify({ ...JSON.parse(first), version });
      return readText(`${[header, ...changed].join('\n')}\n`);
    };
    const old = await read({}, 1);
    expect(old.entries.map(({ xattrs }) => xattrs)).toEqual(old.entries.map(() => null));
    const hash = 'f'.repeat(64);
    const { entries } = await read({ xattrs: hash, as: '/b', copy: [1024, 512] });
    expect(entries[1]).toMatchObject({
      xattrs: hash,
      as: Buffer.from('/b'),
      copy: { offset: 1024, bytes: 512 },
    });
    expect((await read({ xattrs: null })).entries[1]).toMatchObject({ xattrs: null, as: null });
    const wrong = [
      { as: 'b' },
      { as: '/b\0' },
      { as: '/b', as_b64: 'L2I=' },
      { as_b64: 'Yg==' },
      { as: '/b', type: 'directory' },
      { as: '/b', type: 'hardlink' },
      { copy: [0, 512] },
      { as: '/b', copy: [0, 0] },
      { as: '/b', copy: [1, 512] },
      { xattrs: 'x' },
    ];
    for (const change of wrong) await expect(read(change)).rejects.toEqual(corrupted);
    for (const change of [{ as: '/b' }, { xattrs: hash }, { xattrs: null }]) {
      await expect(read(change, 1)).rejects.toEqual(corrupted);
    }
  });

  test('a line without end, before it fills the memory', async () => {
    let given = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      yield gzipSync(`${(await lines())[0]}\n`);
      const part = gzipSync(Buffer.alloc(1 << 20, 0x20));
      for (; given < 100; given += 1) yield part;
    }
    await expect(openIndex(Readable.from(endless()))).rejects.toEqual(corrupted);
    expect(given).toBeLessThan(100);
  });
});

test('entries that are not in order are not written either', async () => {
  for (const entries of [
    [one('/b'), one('/a')],
    [one('/a'), one('/a')],
  ]) {
    await expect(textOf({ members: [[0]], entries })).rejects.toThrow(TypeError);
  }
});

describe('the stored stream is destroyed', () => {
  const open = async (bytes: Buffer) => {
    const stored = new PassThrough();
    stored.write(bytes);
    return { stored, index: openIndex(stored) };
  };
  const half = async (): Promise<Buffer> => {
    const text = await textOf(sample);
    return Buffer.concat([gzipSync(text.slice(0, text.lastIndexOf('{')))]);
  };

  test('when its entries are left before the first, after it, or where it was read to the end', async () => {
    const unread = await open(await half());
    await (await unread.index).entries.return(undefined);
    expect(unread.stored.destroyed).toBe(true);

    const begun = await open(await half());
    for await (const _ of (await begun.index).entries) break;
    expect(begun.stored.destroyed).toBe(true);

    const stored = Readable.from([gzipSync(await textOf(sample))]);
    await collect((await openIndex(stored)).entries);
    expect(stored.destroyed).toBe(true);
  });

  test('when it is refused', async () => {
    const { stored, index } = await open(gzipSync('{}\n'));
    await expect(index).rejects.toEqual(corrupted);
    expect(stored.destroyed).toBe(true);
  });

  test('and its own fault is what the reader gets, also between two entries', async () => {
    const { stored, index } = await open(await half());
    const { entries } = await index;
    await entries.next();
    stored.destroy(new Error('connection lost'));
    await turn();
    await expect(collect(entries)).rejects.toThrow('connection lost');
    const early = await open(gunzipSync(gzipSync('')));
    early.stored.destroy(new Error('refused'));
    await expect(early.index).rejects.toThrow('refused');
  });
});
