// Any tree, through everything between a server and a destination and back, in chunks of any size.
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import {
  archiveAad,
  createDecryptStream,
  createEncryptStream,
  createMemberReader,
  createMemberStream,
  createTarWalker,
  paddingOf,
  TAR_END,
  type TarEntry,
  tarHeader,
} from '@tarfleet/archive';
import fc from 'fast-check';
import { calm } from '../testing-sessions.ts';

const MIB = 1024 * 1024;

/** Names below folders of their own; contents up to some segments, few of them large. */
const tree = fc.uniqueArray(
  fc.record({
    path: fc
      .array(fc.constantFrom('a', 'b', 'é', '\xff', 'n'.repeat(120)), { minLength: 1, maxLength: 4 })
      .map((parts) => Buffer.from(parts.join('/'), 'latin1')),
    size: fc.oneof(
      { weight: 6, arbitrary: fc.nat(3000) },
      fc.constantFrom(511, 512, 513, MIB - 56, MIB - 40, MIB, MIB + 1, 4 * MIB),
    ),
    fill: fc.constantFrom('text ', '\0', null),
  }),
  { maxLength: 6, selector: ({ path }) => path.toString('latin1') },
);

test('any tree comes back, whole and in order', async () => {
  const places = fc.array(fc.oneof(fc.nat(), fc.constantFrom(40, MIB, MIB + 1, 2 * MIB)), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(tree, places, places, fc.boolean(), async (files, before, after, enabled) => {
      const contents = files.map(({ size, fill }) =>
        fill === null ? randomBytes(size) : Buffer.alloc(size, fill),
      );
      const parts = files.flatMap(({ path, size }, at) => [
        tarHeader({
          ...{ path, type: 'file', size, mode: 0o600, uid: 1, gid: 2, mtime: '1.5', linkTarget: null },
        }),
        contents[at] ?? Buffer.alloc(0),
        Buffer.alloc(paddingOf(size)),
      ]);
      const tar = Buffer.concat([...parts, TAR_END]);
      const key = {
        key: randomBytes(32),
        associatedData: archiveAad({ backupId: 'b', artifactId: 'a', role: 'archive' }),
      };
      const packed = await buffer(
        pieces(tar, before)
          .pipe(createTarWalker({ onEntry: () => undefined }))
          .pipe(createMemberStream({ enabled, level: 1, parallel: 2 }, calm()))
          .pipe(createEncryptStream(key, calm())),
      );
      const found: { entry: TarEntry; sha256: string | null }[] = [];
      const back = await buffer(
        pieces(packed, after)
          .pipe(createDecryptStream(key, calm()))
          .pipe(createMemberReader(calm()))
          .pipe(
            createTarWalker({
              onEntry: () => undefined,
              onEnd: (entry, { sha256 }) => found.push({ entry, sha256 }),
            }),
          ),
      );
      expect(back.equals(tar)).toBe(true);
      expect(found.map(({ entry }) => [entry.path, entry.size])).toEqual(
        files.map(({ path, size }) => [path, size]),
      );
    }),
    { numRuns: 60 },
  );
}, 120_000);

function pieces(bytes: Buffer, at: readonly number[]): Readable {
  const ends = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const parts = [0, ...ends].map((from, index) => bytes.subarray(from, ends[index] ?? bytes.length));
  return Readable.from(
    parts.filter(({ length }) => length > 0),
    { objectMode: false },
  );
}
