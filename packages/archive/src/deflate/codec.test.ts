import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { requireTools } from '@tarfleet/testbed';
import fc from 'fast-check';
import { type Codec, InflateError } from './codec.ts';
import { compressMember } from './gzip-member.ts';
import { openLibdeflate } from './libdeflate-codec.ts';
import { openCodec } from './open-codec.ts';
import { zlibCodec } from './zlib-codec.ts';

const MOST = 1 << 20;
const text = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes / 8 }, () => Math.random().toString(36).slice(2, 9)).join(' '));

let libdeflate: Codec;
beforeAll(async () => {
  await requireTools(['libdeflate-gzip']);
  const found = await openLibdeflate();
  if (found === null) throw new Error('libdeflate is installed but cannot be loaded.');
  libdeflate = found;
}, 120_000);

test('libdeflate is taken where there is one', async () => {
  expect((await openCodec()).name).toBe('libdeflate');
});

describe.each([
  ['zlib', () => zlibCodec],
  ['libdeflate', () => libdeflate],
])('%s', (_name, codec) => {
  test('gives gzip members that every codec reads, at each level', async () => {
    const contents = fc.oneof(
      fc.uint8Array({ maxLength: 5_000 }),
      fc
        .array(fc.constantFrom('log line\n', 'a', 'ünï', '\0'), { maxLength: 500 })
        .map((all) => all.join('')),
    );
    await fc.assert(
      fc.asyncProperty(contents, fc.integer({ min: 1, max: 9 }), async (content, level) => {
        const block = Buffer.from(content);
        const member = await codec().compress(block, level);
        expect(gunzipSync(member).equals(block)).toBe(true);
        expect((await zlibCodec.decompress(member, MOST)).equals(block)).toBe(true);
        expect((await libdeflate.decompress(member, MOST)).equals(block)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test('many blocks at once do not touch each other', async () => {
    const blocks = Array.from({ length: 24 }, (_, at) =>
      at % 3 === 0 ? randomBytes(300_000) : text(700_000),
    );
    const members = await Promise.all(blocks.map((block, at) => codec().compress(block, (at % 9) + 1)));
    const back = await Promise.all(members.map((member) => codec().decompress(member, MOST)));
    for (const [at, block] of blocks.entries()) {
      expect(gunzipSync(members[at] ?? Buffer.alloc(0)).equals(block)).toBe(true);
      expect(back[at]?.equals(block)).toBe(true);
    }
  });

  test('compresses about as well as gzip', async () => {
    const block = text(1_000_000);
    for (const level of [1, 6, 9]) {
      const { length } = await codec().compress(block, level);
      expect(length).toBeLessThan(1.03 * gzipSync(block, { level }).length);
    }
  });

  test('reads several members in a row', async () => {
    const both = Buffer.concat([gzipSync('one '), gzipSync(''), gzipSync('two')]);
    expect((await codec().decompress(both, MOST)).toString()).toBe('one two');
  });

  test('exactly as much as is allowed is no fault, a byte more is', async () => {
    const member = gzipSync(Buffer.alloc(50_000, 'ab'));
    expect(await codec().decompress(member, 50_000)).toHaveLength(50_000);
    await expect(codec().decompress(member, 49_999)).rejects.toBeInstanceOf(InflateError);
    await expect(codec().decompress(gzipSync(Buffer.alloc(100 << 20)), MOST)).rejects.toBeInstanceOf(
      InflateError,
    );
  });

  test('refuses what is cut, damaged, no gzip, or followed by anything else', async () => {
    const content = text(20_000);
    const member = gzipSync(content);
    const refused = async (bytes: Buffer): Promise<boolean> =>
      codec()
        .decompress(bytes, MOST)
        .then(
          () => false,
          (error: unknown) => error instanceof InflateError,
        );
    for (let length = 0; length < member.length; length += 97) {
      expect(await refused(member.subarray(0, length))).toBe(true);
    }
    for (const tail of ['x', '\0', '\0'.repeat(600), '\x1f\x8b\x08']) {
      expect(await refused(Buffer.concat([member, Buffer.from(tail, 'latin1')]))).toBe(true);
    }
    expect(await refused(Buffer.from('no gzip at all, and long enough for a header'))).toBe(true);
    for (let at = 10; at < member.length; at += 31) {
      const flipped = Buffer.from(member);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      // A bit of a distance may name another place that holds the same bytes: that is no damage.
      const harmless = async () => (await codec().decompress(flipped, MOST)).equals(content);
      expect((await refused(flipped)) || (await harmless())).toBe(true);
    }
  });

  test('stores what does not shrink, and has the same header as ever', async () => {
    const noise = randomBytes(1_000_000);
    const stored = await compressMember(codec(), noise, 6);
    expect(stored.length).toBe(noise.length + 18 + 5 * Math.ceil(noise.length / 0xffff));
    for (const member of [stored, await compressMember(codec(), text(500_000), 9)]) {
      expect(member.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
    }
  });
});
