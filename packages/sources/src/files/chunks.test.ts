// What servers print arrives in pieces of any size: cut anywhere, it says the same.
import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createFramed } from './foreign/framed.ts';
import { createStatParser, newMark } from './foreign/stat-records.ts';
import { nulPairs, nulRecords } from './nul-records.ts';
import { createTail, readLines } from './read-lines.ts';

const places = fc.array(fc.nat(), { maxLength: 12 });
const failed = expect.objectContaining({ name: 'AppError', code: 'COMMAND_FAILED' });

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const parts = [0, ...ends].map((from, index) => bytes.subarray(from, ends[index] ?? bytes.length));
  return parts.filter(({ length }) => length > 0);
}
const stream = (bytes: Buffer, at: readonly number[]): Readable =>
  Readable.from(cut(bytes, at), { objectMode: false });

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('records with NUL between', () => {
  const record = fc
    .array(fc.integer({ min: 1, max: 255 }), { maxLength: 20 })
    .map((bytes) => Buffer.from(bytes));
  const NUL = Buffer.from([0]);

  test('come back, and two by two', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 20 }), places, async (records, at) => {
        const bytes = Buffer.concat(records.flatMap((one) => [one, NUL]));
        const copies = async function* () {
          for await (const some of nulRecords(stream(bytes, at))) yield* some.map((one) => Buffer.from(one));
        };
        expect(await all(copies())).toEqual(records);
        const pairs = all(nulPairs(stream(bytes, at)));
        if (records.length % 2 === 1) await expect(pairs).rejects.toEqual(failed);
        else expect((await pairs).flat(2)).toEqual(records);
      }),
      { numRuns: 300 },
    );
  });

  test('that are cut are an error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1 }), record, places, async (records, last, at) => {
        fc.pre(last.length > 0);
        const bytes = Buffer.concat([...records.flatMap((one) => [one, NUL]), last]);
        await expect(all(nulRecords(stream(bytes, at)))).rejects.toEqual(failed);
      }),
    );
  });
});

test('parts between marks come back, whatever of a mark they hold', async () => {
  const mark = 'tf0123456789abcdef';
  const part = fc
    .array(
      fc.oneof(fc.constantFrom('t', 'tf', mark.slice(0, 7), mark.slice(0, -1), mark.slice(1), '\0', '\n')),
      {
        maxLength: 8,
      },
    )
    .map((pieces) => pieces.join(''))
    .filter((text) => !`${text}${mark}`.slice(0, -1).includes(mark));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(part, fc.constantFrom('A', 'o', 't')), { maxLength: 10 }),
      places,
      async (parts, at) => {
        const bytes = Buffer.from(parts.map(([text, letter]) => text + mark + letter).join(''), 'latin1');
        const framed = createFramed(stream(bytes, at), mark);
        for (const [text, letter] of parts) {
          const pieces = (await all(framed.part())).map((piece) => piece.toString('latin1'));
          expect(pieces.join('')).toBe(text);
          expect(await framed.letter()).toBe(letter);
        }
        await expect(all(framed.part())).rejects.toEqual(failed);
      },
    ),
    { numRuns: 500 },
  );
});

describe('what busybox stat prints', () => {
  const mark = newMark();
  const name = fc
    .array(fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(0x0a, 0x7c, 0x20, 0x74)), {
      minLength: 1,
      maxLength: 20,
    })
    .map((bytes) => Buffer.from(bytes));
  const record = fc.record({
    name,
    mode: fc.nat(0o7777),
    links: fc.nat(9),
    inode: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    size: fc.nat(),
    uid: fc.nat(),
    // In nanoseconds, before 1970 too.
    mtime: fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }),
    device: fc.tuple(fc.nat(4000), fc.nat(4000)),
  });
  const floor = (value: bigint, by: bigint): bigint => (value - (((value % by) + by) % by)) / by;

  test('comes back, names with newlines and times with nanoseconds too', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 6 }), places, (records, at) => {
        const printed = records.map((one) => {
          const seconds = floor(one.mtime, 10n ** 9n);
          const long = `2001-02-03 04:05:06.${String(one.mtime - seconds * 10n ** 9n).padStart(9, '0')} +0000`;
          const head = `${mark}${(0x8000 | one.mode).toString(16)} ${one.links} 2049 ${one.inode} ${one.size}`;
          const tail = ` ${one.uid} 0 ${seconds}|${long}|${seconds}|${long}|${one.device.map((n) => n.toString(16)).join(' ')}|`;
          return Buffer.concat([Buffer.from(head + tail), one.name, Buffer.from('\n')]);
        });
        const parser = createStatParser(mark);
        const found = [
          ...cut(Buffer.concat(printed), at).flatMap((part) => parser.take(part)),
          ...parser.end(),
        ];
        expect(found).toEqual(
          records.map(({ name: path, mode, links, inode, size, uid, mtime, device }) => {
            const digits = String(mtime < 0n ? -mtime : mtime).padStart(10, '0');
            const time = `${mtime < 0n ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9)}0`;
            const facts = { type: 'f', links, device: '2049', inode: String(inode), size, mode, uid, gid: 0 };
            return { path, device, facts: { ...facts, mtime: time, ctime: time } };
          }),
        );
      }),
      { numRuns: 300 },
    );
  });
});

test('lines come back, and a tail keeps beginning and end of long ones', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', ' ', '\r', '\xff', '\0'), maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(fc.array(line), line, places, async (lines, last, at) => {
      const found: string[] = [];
      const bytes = Buffer.from(lines.map((one) => `${one}\n`).join('') + last, 'latin1');
      await readLines(stream(bytes, at), (one) => found.push(one));
      expect(found).toEqual(last === '' ? lines : [...lines, last]);
    }),
  );
  const tail = createTail();
  tail.add(`tar: ${'x/'.repeat(3000)}: File name too long`);
  expect(tail.text()).toMatch(/^tar: x.*\.\.\..*: File name too long$/);
  expect(tail.text().length).toBeLessThan(600);
});
