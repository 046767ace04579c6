import type { Transform } from 'node:stream';
import { createFeedTransform } from './feed-transform.ts';
import { createTarParser } from './tar-parser.ts';
import type { EntryEnd, TarEntry } from './types.ts';

export interface TarWalkerOptions {
  /**
   * Called for each entry before the last byte of its header is passed on, so whoever reads behind the walker has
   * not seen it yet. What it throws becomes the stream's error.
   */
  onEntry(entry: TarEntry): void;
  /** Called when all of an entry has passed, its padding too. Contents are hashed only when this is given. */
  onEnd?(entry: TarEntry, end: EntryEnd): void;
  /** Called with the `comment` of a global header, under the same conditions. */
  onComment?(comment: Buffer): void;
}

/**
 * Passes a tar stream on unchanged while it reads the headers: ustar, GNU and pax, in any mixture; names as bytes.
 * It ends cleanly only after the two zero blocks that end an archive, with nothing but zeros behind them (16 MiB at
 * most); anything else is ARCHIVE_MALFORMED. Formats: POSIX.1-2001 `pax`, and GNU tar's manual, "Tar Internals".
 */
export function createTarWalker(options: TarWalkerOptions): Transform {
  const parser = createTarParser(options);
  return createFeedTransform({
    take(chunk, stream) {
      parser.take(chunk);
      stream.push(chunk);
    },
    end: () => parser.end(),
  });
}
