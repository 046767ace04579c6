import type { Dir } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { errnoOf } from '@tarfleet/kernel';
import { isKey } from '../keys.ts';

export interface FoundFile {
  /** In bytes: others may have used any. */
  path: Buffer;
  /** Relative to where the walk began, with slashes, one character (of Latin-1) for each byte. */
  name: string;
  bytes: number;
  modifiedAt: Date | null;
}

/**
 * Every regular file below a folder, one folder's listing in memory at no time. A folder that is missing is
 * empty; what vanishes meanwhile is left out; links are not followed. A folder that may not be read is an error,
 * unless its name shows that it is somebody else's (`lost+found`): then it is given out itself, with a slash.
 */
export async function* walk(
  folder: string | Buffer,
  signal: AbortSignal,
  prefix = '',
): AsyncGenerator<FoundFile> {
  const at = Buffer.from(folder);
  const dir = await openFolder(at).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
    if (errnoOf(error) === 'EACCES' && prefix !== '' && !isKey(prefix.slice(0, -1))) return 'closed' as const;
    throw error;
  });
  if (dir === 'closed') yield { path: at, name: prefix, bytes: 0, modifiedAt: null };
  if (dir === null || dir === 'closed') return;
  for await (const entry of dir) {
    signal.throwIfAborted();
    const path = Buffer.concat([at, SLASH, entry.name]);
    const name = prefix + entry.name.toString('latin1');
    const found = await lstat(path).catch(whenGone);
    if (found?.isDirectory()) yield* walk(path, signal, `${name}/`);
    else if (found?.isFile()) yield { path, name, bytes: found.size, modifiedAt: found.mtime };
  }
}

const SLASH = Buffer.from('/');

/** Node gives out names as bytes when it is asked to, which its types do not know. */
async function openFolder(path: Buffer): Promise<AsyncIterable<{ name: Buffer }>> {
  const options = { bufferSize: 256, encoding: 'buffer' as BufferEncoding };
  const dir: Dir = await opendir(path, options);
  return dir as unknown as AsyncIterable<{ name: Buffer }>;
}

function whenGone(error: unknown): null {
  if (errnoOf(error) === 'ENOENT') return null;
  throw error;
}
