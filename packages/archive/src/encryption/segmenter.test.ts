import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cut } from '../test-streams.ts';
import { createSegmenter } from './segmenter.ts';

/** Segments of some bytes, by hand. */
function expected(bytes: Buffer, firstBytes: number, laterBytes: number): [string, number, boolean][] {
  const contents: Buffer[] = [bytes.subarray(0, firstBytes)];
  for (let at = firstBytes; at < bytes.length; at += laterBytes)
    contents.push(bytes.subarray(at, at + laterBytes));
  return contents.map((content, number) => [content.toString('hex'), number, number === contents.length - 1]);
}

test('gives the same segments whatever the chunks, one of them the last, none empty behind others', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.nat(6),
      fc.uint8Array({ maxLength: 60 }),
      fc.oneof(fc.array(fc.nat(), { maxLength: 10 }), fc.constant('bytes' as const)),
      (firstBytes, more, raw, places) => {
        const bytes = Buffer.from(raw);
        const laterBytes = firstBytes + more;
        const found: [string, number, boolean][] = [];
        const segmenter = createSegmenter({
          ...{ firstBytes, laterBytes },
          onSegment: (content, number, last) => found.push([content.toString('hex'), number, last]),
        });
        for (const chunk of cut(bytes, places)) {
          // What a chunk holds is taken at once: its bytes may be used again.
          const lent = Buffer.from(chunk);
          segmenter.take(lent);
          lent.fill(0xee);
        }
        expect(found.every(([, , last]) => !last)).toBe(true);
        segmenter.end();
        expect(found).toEqual(expected(bytes, firstBytes, laterBytes));
      },
    ),
    { numRuns: 2000 },
  );
});
