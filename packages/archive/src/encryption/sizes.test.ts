import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SEGMENTS_MAX, segmentNonce } from './format.ts';
import { encryptedSize, plainSize } from './sizes.ts';
import { corrupted, encrypt, FIRST, LATER, noise, SEGMENT } from './testing/artifacts.ts';

const MOST = SEGMENTS_MAX * LATER - 40;
const unsupported = expect.objectContaining({ name: 'AppError', code: 'NOT_SUPPORTED' }) as unknown as Error;
const impossible = corrupted as unknown as Error;

describe('sizes', () => {
  test('are those of real ciphertexts', async () => {
    for (const length of [0, 1, FIRST, FIRST + 1, FIRST + LATER, FIRST + LATER + 1]) {
      const sealed = await encrypt([noise(length)]);
      expect(encryptedSize(length)).toBe(sealed.length);
      expect(plainSize(sealed.length)).toBe(length);
    }
  });

  test('tell one another', () => {
    fc.assert(
      fc.property(fc.nat({ max: MOST }), (bytes) => {
        expect(plainSize(encryptedSize(bytes))).toBe(bytes);
      }),
    );
    for (let bytes = FIRST - 2000; bytes < FIRST + 2000; bytes += 1) {
      expect(plainSize(encryptedSize(bytes))).toBe(bytes);
    }
  });

  test('no ciphertext has a size that no plaintext gives', () => {
    for (const border of [0, SEGMENT, 7 * SEGMENT]) {
      for (let size = border - 100; size < border + 100; size += 1) {
        let plain: number | undefined;
        try {
          plain = plainSize(size);
        } catch (error) {
          expect(error).toEqual(corrupted);
        }
        const least = border === 0 ? 56 : border + 17;
        expect(plain === undefined).toBe(size < least && (size > border || border === 0));
        if (plain !== undefined) expect(encryptedSize(plain)).toBe(size);
      }
    }
    for (const size of [-1, 1.5, 100.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER]) {
      expect(() => plainSize(size)).toThrow(impossible);
    }
  });

  test('end where segment numbers do', () => {
    expect(encryptedSize(MOST)).toBe(SEGMENTS_MAX * SEGMENT);
    expect(plainSize(SEGMENTS_MAX * SEGMENT)).toBe(MOST);
    expect(() => encryptedSize(MOST + 1)).toThrow(unsupported);
    expect(() => plainSize(SEGMENTS_MAX * SEGMENT + 17)).toThrow(impossible);
    for (const bytes of [-1, 0.5, Number.NaN]) expect(() => encryptedSize(bytes)).toThrow(RangeError);
  });
});

test('a nonce is the prefix, the number and whether it is the last; beyond 32 bits there is none', () => {
  const prefix = Buffer.from('a1a2a3a4a5a6a7', 'hex');
  expect(segmentNonce(prefix, 0, false).toString('hex')).toBe('a1a2a3a4a5a6a70000000000');
  expect(segmentNonce(prefix, 0x01020304, true).toString('hex')).toBe('a1a2a3a4a5a6a70102030401');
  expect(segmentNonce(prefix, SEGMENTS_MAX - 1, true).toString('hex')).toBe('a1a2a3a4a5a6a7ffffffff01');
  expect(() => segmentNonce(prefix, SEGMENTS_MAX, true)).toThrow(unsupported);
});
