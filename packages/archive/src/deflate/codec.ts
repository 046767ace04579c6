/** Bytes are no gzip member, or not the one they should be. */
export class InflateError extends Error {}

/** Who compresses: one block at a time, off the main thread. Both give plain gzip, and read what the other wrote. */
export interface Codec {
  /** For logs. */
  name: string;
  /** One whole gzip member. The block must not change before it resolves. `level`: 1 to 9. */
  compress(block: Buffer, level: number): Promise<Buffer>;
  /**
   * What one gzip member holds. Rejects with InflateError unless `member` is exactly one member, or several, with nothing behind
   * them, their checksums are right, and they hold at most `most` bytes.
   */
  decompress(member: Buffer, most: number): Promise<Buffer>;
}
