import type { Duplex } from 'node:stream';
import { destroyOnAbort } from '../abort.ts';
import { createFeedTransform } from '../feed-transform.ts';
import {
  checkKey,
  deriveSegmentKeys,
  type EncryptionOptions,
  HEADER_BYTES,
  SEGMENT_BYTES,
  type SegmentKeys,
} from './format.ts';
import { openSegment } from './segment.ts';
import { createSegmenter } from './segmenter.ts';

/**
 * The format of `format.ts` in, plain bytes out: of each segment only after its tag was checked, and a clean end
 * only after the segment that says it is the last. What came out before an error is true, but is not all.
 * It holds one segment (1 MiB) back. The caller pipes and owns it; an abort destroys it with the signal's reason.
 * Errors: RangeError at once for a key that has not 32 bytes; in the stream BACKUP_CORRUPTED for any change,
 * cut or addition, and for another key or other associated data.
 */
export function createDecryptStream(options: EncryptionOptions, signal: AbortSignal): Duplex {
  checkKey(options.key);
  let keys: SegmentKeys | undefined;
  const segmenter = createSegmenter({
    firstBytes: SEGMENT_BYTES,
    laterBytes: SEGMENT_BYTES,
    onSegment(content, number, last) {
      keys ??= deriveSegmentKeys(content.subarray(0, HEADER_BYTES), options);
      const sealed = number === 0 ? content.subarray(HEADER_BYTES) : content;
      const plain = openSegment(keys, sealed, number, last);
      if (plain.length > 0) stream.push(plain);
    },
  });
  const stream = createFeedTransform(segmenter);
  destroyOnAbort(stream, signal);
  return stream;
}
