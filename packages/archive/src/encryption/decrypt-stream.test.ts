import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cut } from '../test-streams.ts';
import { archiveAad } from './archive-aad.ts';
import { deriveSegmentKeys } from './format.ts';
import { sealSegment } from './segment.ts';
import {
  corrupted,
  decrypt,
  encrypt,
  FIRST,
  flip,
  ids,
  LATER,
  noise,
  options,
  plainStart,
  SEGMENT,
} from './testing/artifacts.ts';

/** Two full segments and a short one. */
const plain = noise(FIRST + LATER + 10_000);
/** It ends with a full segment. */
const plainFull = noise(FIRST + LATER, 'full');
let sealed: Buffer;
let sealedFull: Buffer;

beforeAll(async () => {
  sealed = await encrypt([plain]);
  sealedFull = await encrypt([plainFull]);
});

/** It is found, and what came out before is the true plaintext of the segments before, all of them and no more. */
async function expectFound(
  chunks: Iterable<Buffer>,
  segmentsBefore: number,
  with_ = options,
): Promise<string> {
  const { released, error } = await decrypt(chunks, with_);
  expect(error).toEqual(corrupted);
  expect(released.length).toBe(plainStart(segmentsBefore));
  expect(released.equals(plain.subarray(0, released.length))).toBe(true);
  return (error as Error).message;
}

describe('a changed ciphertext', () => {
  test('is found wherever a bit is flipped', async () => {
    // The places are the same in each run.
    const random = noise(1000 * 5, 'places');
    for (let index = 0; index < 1000; index += 1) {
      const at = random.readUInt32LE(index * 5) % sealed.length;
      const changed = flip(sealed, at, random.readUInt8(index * 5 + 4) & 7);
      await expectFound([changed], Math.floor(at / SEGMENT));
    }
  }, 120_000);

  test('is found for every bit of the header and of each tag', async () => {
    const ends = [SEGMENT, 2 * SEGMENT, sealed.length];
    const places = [40, ...ends].flatMap((end, index) => {
      const length = index === 0 ? 40 : 16;
      return Array.from({ length }, (_, place) => end - length + place);
    });
    for (const at of places) {
      for (let bit = 0; bit < 8; bit += 1) {
        await expectFound([flip(sealed, at, bit)], Math.floor(at / SEGMENT));
      }
    }
  }, 120_000);

  test('gives nothing of a segment before its tag', async () => {
    // All but the tag's last byte has come, and one byte at a time.
    const before = sealed.subarray(0, 2 * SEGMENT - 20);
    const rest = flip(sealed, 2 * SEGMENT - 1, 0).subarray(before.length);
    await expectFound([before, ...cut(rest.subarray(0, 40), 'bytes'), rest.subarray(40)], 1);
  });
});

describe('a cut ciphertext', () => {
  test.each([
    ['in the header and behind it', 0, 80],
    ['around the first border', SEGMENT - 40, SEGMENT + 40],
    ['around the second border', 2 * SEGMENT - 40, 2 * SEGMENT + 40],
  ])('is found %s', async (_where, from, to) => {
    for (let length = from; length <= to; length += 1) {
      await expectFound([sealed.subarray(0, length)], Math.max(0, Math.ceil(length / SEGMENT) - 1));
    }
  });

  test('is found near the end', async () => {
    for (let missing = 1; missing <= 60; missing += 1) {
      await expectFound([sealed.subarray(0, -missing)], 2);
      const { released, error } = await decrypt([sealedFull.subarray(0, -missing)]);
      expect(error).toEqual(corrupted);
      expect(released.equals(plainFull.subarray(0, FIRST))).toBe(true);
    }
  });

  test('is found when it is empty, or all that is missing is the last segment', async () => {
    await expectFound([], 0);
    await expectFound([sealed.subarray(0, 2 * SEGMENT)], 1);
    expect((await decrypt([sealedFull.subarray(0, SEGMENT)])).error).toEqual(corrupted);
    const empty = await encrypt([]);
    for (let length = 0; length < empty.length; length += 1)
      await expectFound([empty.subarray(0, length)], 0);
  });
});

test('an empty last segment behind others is refused, though its tag is right: no writer makes one', async () => {
  const header = sealed.subarray(0, 40);
  const keys = deriveSegmentKeys(header, options);
  const first = sealSegment(keys, plain.subarray(0, FIRST), 0, false);
  const empty = sealSegment(keys, Buffer.alloc(0), 1, true);
  const one = sealSegment(keys, plain.subarray(FIRST, FIRST + 1), 1, true);
  expect((await decrypt([header, ...first, ...one])).error).toBeUndefined();
  await expectFound([header, ...first, ...empty], 1);
});

describe('bytes too many', () => {
  test.each([1, 15, 16, 17, 100, SEGMENT - 10_056, SEGMENT])('are found: %d', async (count) => {
    for (const tail of [Buffer.alloc(count), noise(count)]) {
      // The last segment is cut elsewhere then, or is no longer the last.
      await expectFound([sealed, tail], 2);
      const { released, error } = await decrypt([sealedFull, tail]);
      expect(error).toEqual(corrupted);
      expect(released.equals(plainFull.subarray(0, FIRST))).toBe(true);
    }
  });

  test('are found when they are a ciphertext themselves', async () => {
    await expectFound([sealed, sealed], 2);
    expect((await decrypt([sealedFull, sealedFull])).error).toEqual(corrupted);
    const { released, error } = await decrypt([sealedFull, sealedFull.subarray(SEGMENT)]);
    expect(error).toEqual(corrupted);
    expect(released.length).toBe(FIRST);
  });
});

describe('segments in a wrong place', () => {
  const segment = (of: Buffer, index: number): Buffer => of.subarray(index * SEGMENT, (index + 1) * SEGMENT);

  test('are found', async () => {
    const long = await encrypt([noise(FIRST + 3 * LATER)]);
    const [a, b, c, d] = [0, 1, 2, 3].map((index) => segment(long, index)) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ];
    const orders: [Buffer[], number][] = [
      [[a, c, b, d], 1],
      [[a, b, d, c], 2],
      [[a, b, b, d], 2],
      [[a, c, d], 1],
      [[a, b, d], 2],
      [[a, d], 1],
      [[b, c, d], 0],
      [[a, a, b, c, d], 1],
      [[a, b, c, d, d], 3],
    ];
    expect((await decrypt([a, b, c, d])).error).toBeUndefined();
    for (const [order, before] of orders) {
      const { released, error } = await decrypt(order);
      expect(error).toEqual(corrupted);
      expect(released.equals(noise(FIRST + 3 * LATER).subarray(0, plainStart(before)))).toBe(true);
    }
  });

  test('are found when they come from another ciphertext', async () => {
    const others = [
      { ...options, associatedData: archiveAad({ ...ids, artifactId: ids.backupId, role: 'archive' }) },
      { ...options, key: randomBytes(32) },
      // Not even under the same key, for the same artifact, from another attempt at it.
      options,
    ];
    for (const other of others) {
      const theirs = await encrypt([plain], other);
      await expectFound([segment(sealed, 0), segment(theirs, 1), segment(sealed, 2)], 1);
      await expectFound([segment(sealed, 0), segment(sealed, 1), segment(theirs, 2)], 2);
      await expectFound([theirs.subarray(0, 40), sealed.subarray(40)], 0);
    }
  });
});

describe('what it is bound to', () => {
  const other = '0190a0b0-0000-7000-8000-000000000003';

  test.each([
    ['another key', { ...options, key: randomBytes(32) }],
    [
      'another backup',
      { ...options, associatedData: archiveAad({ ...ids, backupId: other, role: 'archive' }) },
    ],
    [
      'another artifact',
      { ...options, associatedData: archiveAad({ ...ids, artifactId: other, role: 'archive' }) },
    ],
    ['the index', { ...options, associatedData: archiveAad({ ...ids, role: 'index' }) }],
    ['nothing', { ...options, associatedData: Buffer.alloc(0) }],
  ])('cannot be read as %s', async (_what, with_) => {
    const message = await expectFound([sealed], 0, with_);
    expect(message).toMatch(/damaged, or its key is another/);
  });

  test('a later segment tells that the key was right', async () => {
    expect(await expectFound([flip(sealed, SEGMENT + 5, 1)], 1)).toMatch(/segment 1 was changed/);
  });
});

test('the associated data is what its documentation says, and each part counts', () => {
  expect(archiveAad({ ...ids, role: 'archive' }).toString()).toBe(
    '["tarfleet",2,"0190a0b0-0000-7000-8000-000000000001","0190a0b0-0000-7000-8000-000000000002","archive"]',
  );
  const moved = archiveAad({ backupId: 'a","b', artifactId: 'c', role: 'index' });
  expect(moved.equals(archiveAad({ backupId: 'a', artifactId: 'b","c', role: 'index' }))).toBe(false);
});
