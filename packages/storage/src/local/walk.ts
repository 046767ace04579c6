import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '@tarfleet/kernel';

export interface FoundFile {
  path: string;
  /** Relative to where the walk began, with slashes. */
  name: string;
  bytes: number;
}

/**
 * Every regular file below a folder, one folder's listing in memory at no time. A folder that is missing is
 * empty; what vanishes meanwhile is left out; links are not followed.
 */
export async function* walk(folder: string, signal: AbortSignal, prefix = ''): AsyncGenerator<FoundFile> {
  const dir = await opendir(folder, { bufferSize: 256 }).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
    throw error;
  });
  if (!dir) return;
  for await (const entry of dir) {
    signal.throwIfAborted();
    const path = join(folder, entry.name);
    const name = prefix + entry.name;
    const found = await lstat(path).catch(whenGone);
    if (found?.isDirectory()) yield* walk(path, signal, `${name}/`);
    else if (found?.isFile()) yield { path, name, bytes: found.size };
  }
}

function whenGone(error: unknown): null {
  if (errnoOf(error) === 'ENOENT') return null;
  throw error;
}
