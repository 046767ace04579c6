import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import fc from 'fast-check';
import { neverAborted } from '../test-streams.ts';
import { createRangeDecrypter, type RangeDecrypter } from './range-decrypter.ts';
import {
  corrupted,
  encrypt,
  FIRST,
  flip,
  LATER,
  noise,
  options,
  plainStart,
  SEGMENT,
} from './testing/artifacts.ts';

/** Eleven segments: more than one read takes. The last is short. */
const plain = noise(FIRST + 9 * LATER + 1000);
let sealed: Buffer;
const signal = neverAborted();

beforeAll(async () => {
  sealed = await encrypt([plain]);
});

interface Opened {
  decrypter: RangeDecrypter;
  reads: [offset: number, length: number][];
}

function open(bytes: Buffer, with_ = options, size = bytes.length): Opened {
  const reads: [number, number][] = [];
  const read = async (offset: number, length: number): Promise<Buffer> => {
    reads.push([offset, length]);
    return bytes.subarray(offset, offset + length);
  };
  return { decrypter: createRangeDecrypter({ ...with_, size, read }), reads };
}

describe('createRangeDecrypter', () => {
  test('gives any range as the plaintext has it, and reads only its segments', async () => {
    const { decrypter, reads } = open(sealed);
    expect(decrypter.plainBytes).toBe(plain.length);
    const place = fc.oneof(
      fc.nat({ max: plain.length }),
      fc
        .tuple(fc.nat({ max: 10 }), fc.integer({ min: -20, max: 20 }))
        .map(([segment, by]) => Math.min(plain.length, Math.max(0, plainStart(segment) + by))),
      fc.constant(plain.length),
    );
    await fc.assert(
      fc.asyncProperty(place, place, async (one, another) => {
        const [from, to] = [Math.min(one, another), Math.max(one, another)];
        reads.length = 0;
        const found = await decrypter.read(from, to - from, signal);
        expect(found.equals(plain.subarray(from, to))).toBe(true);
        const bodies = reads.filter(([offset, length]) => offset !== 0 || length !== 40);
        if (from === to) {
          expect(bodies).toHaveLength(0);
          return;
        }
        // One segment's bytes at most before the range and behind it, none twice, and no gap.
        const segmentOf = (offset: number): number =>
          offset < FIRST ? 0 : 1 + Math.floor((offset - FIRST) / LATER);
        const [first, last] = [segmentOf(from), segmentOf(to - 1)];
        let next = first === 0 ? 40 : first * SEGMENT;
        for (const [offset, length] of bodies) {
          expect(offset).toBe(next);
          expect(length).toBeLessThanOrEqual(8 * SEGMENT);
          next = offset + length;
        }
        expect(next).toBe(Math.min(sealed.length, (last + 1) * SEGMENT));
      }),
      { numRuns: 150 },
    );
  });

  test('reads the header once, and again only when it did not come', async () => {
    let fail = true;
    const headers: number[] = [];
    const decrypter = createRangeDecrypter({
      ...options,
      size: sealed.length,
      async read(offset, length) {
        if (offset === 0) {
          headers.push(length);
          if (fail) throw new AppError('STORAGE_FAILED', 'Try again.', { retryable: true });
        }
        return sealed.subarray(offset, offset + length);
      },
    });
    expect(headers).toEqual([]);
    await expect(decrypter.read(5, 5, signal)).rejects.toThrow('Try again.');
    fail = false;
    for (const offset of [0, FIRST, 5]) {
      const found = await decrypter.read(offset, 5, signal);
      expect(found.equals(plain.subarray(offset, offset + 5))).toBe(true);
    }
    expect(headers).toEqual([40, 40]);
  });

  test('gives a long range in parts, and stops reading when nobody goes on', async () => {
    const { decrypter, reads } = open(sealed);
    const parts: Buffer[] = [];
    for await (const part of decrypter.parts(100, plain.length - 200, signal)) parts.push(part);
    expect(parts).toHaveLength(11);
    expect(Buffer.concat(parts).equals(plain.subarray(100, -100))).toBe(true);
    reads.length = 0;
    for await (const part of decrypter.parts(0, plain.length, signal)) {
      expect(part.length).toBe(FIRST);
      break;
    }
    expect(reads).toHaveLength(1);
  });

  test.each([0, 1, FIRST, FIRST + 1, FIRST + LATER])('reads a plaintext of %d bytes', async (length) => {
    const { decrypter } = open(await encrypt([plain.subarray(0, length)]));
    expect(decrypter.plainBytes).toBe(length);
    expect((await decrypter.read(0, length, signal)).equals(plain.subarray(0, length))).toBe(true);
    await expect(decrypter.read(0, length + 1, signal)).rejects.toEqual(corrupted);
  });

  test.each([
    [-1, 5],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
    [plain.length, 1],
    [plain.length + 1, 0],
    [0, plain.length + 1],
    [Number.MAX_SAFE_INTEGER, 1],
  ])('refuses a range that is not inside: %d, %d', async (offset, length) => {
    const { decrypter, reads } = open(sealed);
    await expect(decrypter.read(offset, length, signal)).rejects.toEqual(corrupted);
    expect(reads).toHaveLength(0);
  });

  test('finds damage in the segments that it reads', async () => {
    const { decrypter } = open(flip(sealed, 4 * SEGMENT + 77, 3));
    const whole = await decrypter.read(0, plainStart(4), signal);
    expect(whole.equals(plain.subarray(0, plainStart(4)))).toBe(true);
    const found: Buffer[] = [];
    const reading = async () => {
      for await (const part of decrypter.parts(10, 6 * LATER, signal)) found.push(part);
    };
    await expect(reading()).rejects.toEqual(corrupted);
    expect(Buffer.concat(found).equals(plain.subarray(10, plainStart(4)))).toBe(true);
    for (const at of [0, 1, 39]) {
      await expect(open(flip(sealed, at, 0)).decrypter.read(9 * LATER, 5, signal)).rejects.toEqual(corrupted);
    }
  });

  test('finds a size that is not the true one when it reads the end', async () => {
    const more = Buffer.concat([sealed, noise(2 * SEGMENT)]);
    for (const size of [
      sealed.length - 1,
      sealed.length + 1,
      10 * SEGMENT,
      11 * SEGMENT,
      sealed.length + SEGMENT,
      5 * SEGMENT,
    ]) {
      const { decrypter } = open(more, options, size);
      await expect(decrypter.read(0, decrypter.plainBytes, signal)).rejects.toEqual(corrupted);
    }
    for (const size of [0, 40, 55, SEGMENT + 16, Number.NaN]) {
      expect(() => open(more, options, size)).toThrow(corrupted as unknown as Error);
    }
  });

  test('refuses too few and too many bytes', async () => {
    const { decrypter } = open(sealed.subarray(0, 3 * SEGMENT), options, sealed.length);
    expect((await decrypter.read(0, 5, signal)).equals(plain.subarray(0, 5))).toBe(true);
    await expect(decrypter.read(3 * LATER, 5, signal)).rejects.toEqual(corrupted);
    const generous = createRangeDecrypter({
      ...options,
      size: sealed.length,
      read: async (offset, length) => sealed.subarray(offset, offset + length + (offset === 0 ? 0 : 1)),
    });
    await expect(generous.read(0, 5, signal)).rejects.toThrow(
      /1048537 bytes instead of 1048536 could be read at 40/,
    );
  });

  test('refuses another key and other associated data', async () => {
    for (const with_ of [
      { ...options, key: randomBytes(32) },
      { ...options, associatedData: Buffer.from('other') },
    ]) {
      await expect(open(sealed, with_).decrypter.read(LATER * 2, 5, signal)).rejects.toThrow(/key/);
    }
    expect(() => open(sealed, { ...options, key: Buffer.alloc(31) })).toThrow(RangeError);
  });

  test('an abort ends it with its reason', async () => {
    const reason = new AppError('CANCELLED', 'The job was cancelled.');
    const { decrypter, reads } = open(sealed);
    await expect(decrypter.read(0, 5, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(reads).toHaveLength(0);
    const controller = new AbortController();
    const reading = async () => {
      for await (const _part of decrypter.parts(0, plain.length, controller.signal)) controller.abort(reason);
    };
    await expect(reading()).rejects.toBe(reason);
    expect(reads).toHaveLength(2);
  });
});
