import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { createTarWalker } from '@tarfleet/archive';
import type { ExpectedEntry } from './compare-extracted.ts';

/** The entries of a tar stream as an index would have them, each once it has passed whole. */
export async function* entriesOfTar(tar: Readable): AsyncGenerator<ExpectedEntry> {
  const passed: ExpectedEntry[] = [];
  const walker = createTarWalker({
    onEntry: () => undefined,
    onEnd({ path, mtime, ...entry }, { sha256 }) {
      const name = path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
      passed.push({
        ...entry,
        ...{ path: Buffer.concat([Buffer.from('/'), name]), mtime: String(mtime), sha256 },
      });
    },
  });
  // A fault of the source destroys the walker with it, and the walker's end the source.
  pipeline(tar, walker, () => undefined);
  for await (const _chunk of walker) yield* passed.splice(0);
  yield* passed.splice(0);
}
