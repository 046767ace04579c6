import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { destroyOnAbort } from '../abort.ts';
import { createFeedTransform } from '../feed-transform.ts';
import {
  buildHeader,
  checkKey,
  deriveSegmentKeys,
  type EncryptionOptions,
  HEADER_BYTES,
  PLAIN_SEGMENT_BYTES,
} from './format.ts';
import { sealSegment } from './segment.ts';
import { createSegmenter } from './segmenter.ts';

/**
 * Plain bytes in, the format of `format.ts` out, under a salt and nonce prefix of its own. It holds one segment
 * back (1 MiB), since a segment's nonce tells whether it is the last. An empty input gives one empty segment.
 * The caller pipes and owns it; an abort destroys it with the signal's reason.
 * Errors: RangeError at once for a key that has not 32 bytes; in the stream NOT_SUPPORTED beyond 4 PiB.
 */
export function createEncryptStream(options: EncryptionOptions, signal: AbortSignal): Duplex {
  checkKey(options.key);
  const header = buildHeader(randomBytes(HEADER_BYTES - 1));
  const keys = deriveSegmentKeys(header, options);
  const segmenter = createSegmenter({
    firstBytes: PLAIN_SEGMENT_BYTES - HEADER_BYTES,
    laterBytes: PLAIN_SEGMENT_BYTES,
    onSegment(plain, number, last) {
      const parts = sealSegment(keys, plain, number, last);
      if (number === 0) stream.push(header);
      for (const part of parts) stream.push(part);
    },
  });
  const stream = createFeedTransform(segmenter);
  destroyOnAbort(stream, signal);
  return stream;
}
