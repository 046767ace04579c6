import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import fc from 'fast-check';
import { cut, neverAborted, through } from '../test-streams.ts';
import { createDecryptStream } from './decrypt-stream.ts';
import { createEncryptStream } from './encrypt-stream.ts';
import { decrypt, encrypt, FIRST, LATER, noise, options, SEGMENT } from './testing/artifacts.ts';
import { ONE_MIB, referenceDecrypt, referenceEncrypt } from './testing/reference.ts';
import { MADE_WITH_TINK, numbers, PUBLISHED } from './testing/vectors.ts';

const borders = [0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + LATER - 1, FIRST + LATER, FIRST + LATER + 1];

describe('the second implementation', () => {
  test.each(PUBLISHED)("agrees with Tink's vector: $what", (vector) => {
    const { associatedData, plain } = vector;
    const sealed = Buffer.from(vector.sealed, 'hex');
    const key = Buffer.from(vector.key, 'hex');
    const header = sealed.subarray(0, sealed[0]);
    expect(referenceDecrypt(vector, { key, associatedData }, sealed).toString()).toBe(plain);
    const again = referenceEncrypt(vector, { key, associatedData, header }, Buffer.from(plain));
    expect(again.equals(sealed)).toBe(true);
  });
});

describe('the format', () => {
  test.each(MADE_WITH_TINK.ciphertexts)('reads what Tink wrote: $plainBytes bytes', async (made) => {
    const plain = numbers(made.plainBytes);
    const secrets = {
      key: Buffer.from(MADE_WITH_TINK.key, 'hex'),
      associatedData: Buffer.from(MADE_WITH_TINK.associatedData),
    };
    const header = Buffer.from(made.header, 'hex');
    const sealed = referenceEncrypt(ONE_MIB, { ...secrets, header }, plain);
    expect(createHash('sha256').update(sealed).digest('hex')).toBe(made.sha256);
    const { released, error } = await decrypt([sealed], secrets);
    expect(error).toBeUndefined();
    expect(released.equals(plain)).toBe(true);
  });

  test.each(borders)('agrees with the second implementation both ways: %d bytes', async (length) => {
    const plain = noise(length);
    const sealed = await encrypt(cut(plain, [1, 65_536, FIRST, FIRST + 1]));
    expect(referenceDecrypt(ONE_MIB, options, sealed).equals(plain)).toBe(true);
    const ours = referenceEncrypt(ONE_MIB, { ...options, header: sealed.subarray(0, 40) }, plain);
    expect(ours.equals(sealed)).toBe(true);
    const theirs = referenceEncrypt(
      ONE_MIB,
      { ...options, header: Buffer.concat([Buffer.of(40), noise(39)]) },
      plain,
    );
    const { released, error } = await decrypt(cut(theirs, [39, 41, SEGMENT - 1, SEGMENT]));
    expect(error).toBeUndefined();
    expect(released.equals(plain)).toBe(true);
  });

  test('comes back whatever the chunks', async () => {
    const near = (places: number[]) =>
      fc
        .tuple(fc.constantFrom(...places), fc.integer({ min: -20, max: 20 }))
        .map(([a, b]) => Math.max(0, a + b));
    await fc.assert(
      fc.asyncProperty(
        near(borders),
        fc.array(near([0, 40, FIRST, SEGMENT, FIRST + LATER, 2 * SEGMENT]), { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 4 }),
        async (length, placesNear, placesAnywhere) => {
          const plain = noise(length);
          const places = [...placesNear, ...placesAnywhere];
          const { released, error } = await decrypt(cut(await encrypt(cut(plain, places)), places));
          expect(error).toBeUndefined();
          expect(released.equals(plain)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('comes back in single bytes across a border', async () => {
    const plain = noise(FIRST + 50);
    const chunks = [plain.subarray(0, FIRST - 50), ...cut(plain.subarray(FIRST - 50), 'bytes')];
    const sealed = await encrypt(chunks);
    const border = SEGMENT - 50;
    const { released, error } = await decrypt([
      ...cut(sealed.subarray(0, 60), 'bytes'),
      sealed.subarray(60, border),
      ...cut(sealed.subarray(border), 'bytes'),
    ]);
    expect(error).toBeUndefined();
    expect(released.equals(plain)).toBe(true);
  });

  test('the same bytes never look the same twice', async () => {
    const [once, again] = [await encrypt([noise(100)]), await encrypt([noise(100)])];
    expect(once.subarray(1, 40).equals(again.subarray(1, 40))).toBe(false);
    expect(once.subarray(40).equals(again.subarray(40))).toBe(false);
  });
});

describe.each([
  ['createEncryptStream', createEncryptStream],
  ['createDecryptStream', createDecryptStream],
])('%s', (_name, create) => {
  test.each([0, 16, 31, 33, 64])('refuses a key of %d bytes', (length) => {
    expect(() => create({ ...options, key: Buffer.alloc(length) }, neverAborted())).toThrow(RangeError);
  });

  test('holds only so much when nobody reads', async () => {
    // For the reader: a ciphertext that is right as far as it goes.
    const source = create === createEncryptStream ? noise(8 * SEGMENT) : await encrypt([noise(8 * SEGMENT)]);
    let produced = 0;
    const chunks = Readable.from(
      (function* () {
        for (const chunk of cut(
          source,
          Array.from({ length: 128 }, (_, index) => index * 65_536),
        )) {
          produced += chunk.length;
          yield chunk;
        }
      })(),
      { objectMode: false },
    );
    const stream = create(options, neverAborted());
    chunks.pipe(stream);
    // Until nothing more is taken for as long as a hundred segments would need.
    let still = 0;
    for (let last = -1; still < 2000; still = produced === last ? still + 1 : 0) {
      last = produced;
      await turn();
    }
    expect(produced).toBeGreaterThan(SEGMENT);
    expect(produced).toBeLessThanOrEqual(2 * SEGMENT);
    chunks.destroy();
    stream.destroy();
  });

  test('an abort ends it with its reason', async () => {
    const reason = new AppError('CANCELLED', 'The job was cancelled.');
    await expect(through([], create(options, AbortSignal.abort(reason)))).rejects.toBe(reason);
    const controller = new AbortController();
    const source = new Readable({ read() {} });
    source.push(noise(3 * SEGMENT));
    const running = through(source as unknown as Iterable<Buffer>, create(options, controller.signal));
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
  });
});
