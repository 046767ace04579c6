import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeRun, withLine } from './encoded-run.ts';
import { decodeLine, encodeEntry, type IndexLine } from './entry-lines.ts';
import type { IndexEntry } from './format.ts';
import { readPlainLine } from './plain-line.ts';
import { openIndex } from './read-index.ts';
import { type Content, collect, content, id, textOf } from './testing/index-files.ts';

const ARCHIVES = 4;
const entries = content.map((written) => written.entries).filter((list) => list.length > 0);

function slowly(line: string): IndexLine | null {
  try {
    return decodeLine(line, ARCHIVES, 2);
  } catch {
    return null;
  }
}

/** A plain line says of itself what the long way says; gives whether it was one. */
function isRight(line: string): boolean {
  const plain = readPlainLine(line, ARCHIVES);
  if (plain === null) return false;
  expect({ kind: 'entry', entry: plain.entry }).toEqual(slowly(line));
  expect(encodeEntry(plain.entry)).toBe(line);
  expect(plain.head + plain.entry.at.archive + plain.tail).toBe(line);
  return true;
}

describe('the short way to read a line', () => {
  test('gives what the long one gives, or nothing; and is taken where no character is escaped', () => {
    fc.assert(
      fc.property(entries, (list) => {
        for (const entry of list) {
          const line = encodeEntry(entry);
          const isLarge = [entry.size, entry.uid, entry.gid].some((number) => number >= 1e15);
          expect(isRight(line)).toBe(!line.includes('\\') && !line.includes('_b64') && !isLarge);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('takes no line that was changed anywhere for another', () => {
    const piece = fc.constantFrom(
      ...'"\\{}[],:-.0123456789eE/ \0\n\u2028\ufeffx',
      '512',
      'null',
      'true',
      '\\u002f',
    );
    fc.assert(
      fc.property(entries, fc.nat(), fc.nat(3), piece, (list, place, cut, put) => {
        for (const entry of list) {
          const line = encodeEntry(entry);
          const at = place % (line.length + 1);
          // As it would come out of a file: half a character cannot.
          isRight(Buffer.from(line.slice(0, at) + put + line.slice(at + cut)).toString());
        }
      }),
      { numRuns: 500 },
    );
  });

  const entry: IndexEntry = {
    ...{ path: Buffer.from('/a'), type: 'file', size: 3, mode: 0o644, uid: 0, gid: 0, mtime: '1.5' },
    ...{ ctime: null, inode: '7', linkTarget: null, sha256: null, xattrs: '', again: false },
    ...{ as: Buffer.from('/b'), at: { archive: 3, offset: 512, bytes: 1024 } },
    copy: { offset: 0, bytes: 512 },
  };
  const line = encodeEntry(entry);

  test.each([
    ['an archive that is not there', line.replace('[3,', '[4,')],
    ['a place between two blocks', line.replace('[3,512', '[3,513')],
    ['no bytes', line.replace('512,1024]', '512,0]')],
    ['a copy between two blocks', line.replace('"copy":[0,512', '"copy":[0,511')],
    ['a copy of nothing', line.replace('"as":"/b",', '')],
    ['another name of what is no file', line.replace('"file"', '"fifo"')],
    ['a number with a zero before it', line.replace('"size":3', '"size":03')],
    ['a number that is not exact', line.replace('"size":3', '"size":9007199254740993')],
    ['a relative path', line.replace('"/a"', '"a"')],
    ['a field twice', line.replace('"size":3', '"size":3,"size":3')],
    ['a field in another place', line.replace('"uid":0,"gid":0', '"gid":0,"uid":0')],
    ['a space', line.replace(',"size"', ', "size"')],
    ['an escape', line.replace('"/a"', '"\\u002fa"')],
    ['more behind it', `${line} `],
  ])('is not for %s', (_what, other) => {
    expect(isRight(line)).toBe(true);
    expect(other).not.toBe(line);
    expect(readPlainLine(other, ARCHIVES)).toBeNull();
  });
});

describe('an index that builds on another', () => {
  const read = async (text: string, numbers: ReadonlyMap<number, number>) => {
    const index = await openIndex(Readable.from([gzipSync(text)], { objectMode: false }));
    return (await collect(index.renumbered(numbers))).flat();
  };

  test('has the lines that its entries have, with the new numbers, of version 1 too', async () => {
    await fc.assert(
      fc.asyncProperty(content, fc.boolean(), async (written: Content, isOld) => {
        const plain = written.entries.map((entry) =>
          isOld ? { ...entry, xattrs: '', as: null, copy: null } : entry,
        );
        const text = await textOf({ ...written, entries: plain });
        const numbers = new Map(written.members.map((_, number) => [number, 11 - number]));
        const found = await read(isOld ? text.replace('"version":2', '"version":1') : text, numbers);
        const wanted = plain.map((entry) => ({
          ...entry,
          ...(isOld ? { xattrs: null } : {}),
          at: { ...entry.at, archive: 11 - entry.at.archive },
        }));
        expect(found).toEqual(wanted.map(withLine));
        if (found.length > 0) expect(encodeRun(found)).toEqual(encodeRun(wanted.map(withLine)));
      }),
      { numRuns: 200 },
    );
  });

  test('cannot have what lies in an archive without a number', async () => {
    const one: IndexEntry = {
      ...{ path: Buffer.from('/a'), type: 'fifo', size: 0, mode: 0, uid: 0, gid: 0, mtime: '1' },
      ...{ ctime: null, inode: null, linkTarget: null, sha256: null, xattrs: '', again: false },
      ...{ as: null, at: { archive: 1, offset: 0, bytes: 512 }, copy: null },
    };
    const text = await textOf({ members: [[0], [0]], entries: [one] });
    expect(text).toContain(id(21));
    await expect(read(text, new Map([[0, 1]]))).rejects.toMatchObject({ code: 'BACKUP_CORRUPTED' });
  });
});
