import { createHash } from 'node:crypto';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** Lines, gzipped as they come: only what comes out is kept. */
export interface RecordPacker {
  /** Resolves when nothing of them is in between any more. */
  add(lines: readonly string[]): Promise<void>;
  /** Of what was added so far, in bytes: as text, and as packed. */
  size(): { text: number; packed: number };
  /** SHA-256 of all text so far, in hex. */
  digest(): string;
  /** The whole. Nothing can be added afterwards. */
  end(): Promise<Buffer>;
}

export function createRecordPacker(): RecordPacker {
  const gzip = createGzip();
  const hash = createHash('sha256');
  const packed: Buffer[] = [];
  let packedBytes = 0;
  let textBytes = 0;
  gzip.on('data', (chunk: Buffer) => {
    packed.push(chunk);
    packedBytes += chunk.length;
  });
  return {
    async add(lines) {
      if (lines.length === 0) return;
      const text = Buffer.from(lines.join(''));
      hash.update(text);
      textBytes += text.length;
      gzip.write(text);
      // So that the size is known, and no more than this waits inside.
      await new Promise<void>((resolve) => gzip.flush(resolve));
    },
    size: () => ({ text: textBytes, packed: packedBytes }),
    digest: () => hash.copy().digest('hex'),
    async end() {
      gzip.end();
      await finished(gzip);
      return Buffer.concat(packed);
    },
  };
}
