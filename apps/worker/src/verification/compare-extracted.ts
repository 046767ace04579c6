import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { chmod, lstat, open, readlink } from 'node:fs/promises';
import type { IndexEntry } from '@tarfleet/archive';
import { errnoOf } from '@tarfleet/kernel';

/** What an index or an archive says of an entry. */
export type ExpectedEntry = Pick<
  IndexEntry,
  'path' | 'type' | 'size' | 'mode' | 'uid' | 'gid' | 'mtime' | 'linkTarget' | 'sha256'
>;

/** Times are kept to the nanosecond by tar, and may be rounded once on their way through a number. */
const MTIME_SECONDS = 1e-5;
const OWN_FOLDER = 0o700;

/**
 * What is not as expected about one extracted entry, in a few words; null when all is. `content` is its own answer,
 * for the checksum of a sparse file is of its map and data: another look must decide.
 */
export async function compareExtracted(
  folder: Buffer,
  entry: ExpectedEntry,
  { asRoot, signal, onBytes }: { asRoot: boolean; signal: AbortSignal; onBytes(bytes: number): void },
): Promise<string | null> {
  const path = Buffer.concat([folder, entry.path]);
  let stat: Stats;
  try {
    stat = await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'it is missing';
    throw error;
  }
  const fault = await compareStat(folder, path, stat, entry, asRoot);
  if (fault !== null) return fault;
  if (entry.type === 'directory' && !asRoot && (stat.mode & OWN_FOLDER) !== OWN_FOLDER) {
    // Its own mode has been compared; what is in it must be found.
    await chmod(path, (stat.mode & 0o7777) | OWN_FOLDER);
  }
  if (entry.type !== 'file') return null;
  return (await hashOf(path, stat, signal, onBytes)) === entry.sha256 ? null : 'content';
}

async function compareStat(
  folder: Buffer,
  path: Buffer,
  stat: Stats,
  entry: ExpectedEntry,
  asRoot: boolean,
): Promise<string | null> {
  if (typeOf(stat) !== (entry.type === 'hardlink' ? 'file' : entry.type)) return `it is a ${typeOf(stat)}`;
  if (entry.type === 'hardlink') {
    const first = entry.linkTarget && (await lstat(Buffer.concat([folder, SLASH, entry.linkTarget])));
    if (first?.ino !== stat.ino || first.dev !== stat.dev) return 'it is not the same file as its other name';
  }
  if (entry.type === 'file' && stat.size !== entry.size)
    return `it has ${stat.size} bytes instead of ${entry.size}`;
  if (entry.type === 'symlink') {
    if (!(await readlink(path, { encoding: 'buffer' })).equals(entry.linkTarget ?? Buffer.alloc(0)))
      return 'it points elsewhere';
  } else if ((stat.mode & 0o7777) !== (entry.mode & 0o7777)) {
    return `its mode is ${(stat.mode & 0o7777).toString(8)} instead of ${(entry.mode & 0o7777).toString(8)}`;
  }
  if (asRoot && (stat.uid !== entry.uid || stat.gid !== entry.gid))
    return `it belongs to ${stat.uid}:${stat.gid} instead of ${entry.uid}:${entry.gid}`;
  if (Math.abs(stat.mtimeMs / 1000 - Number(entry.mtime)) > MTIME_SECONDS) return 'its time is another one';
  return null;
}

const SLASH = Buffer.from('/');

function typeOf(stat: Stats): IndexEntry['type'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character-device';
  if (stat.isBlockDevice()) return 'block-device';
  return stat.isFIFO() ? 'fifo' : 'other';
}

async function hashOf(
  path: Buffer,
  { mode }: Stats,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
  const file = await open(path, flags).catch(async (error: unknown) => {
    if (errnoOf(error) !== 'EACCES') throw error;
    // Its own mode has been compared, and it is about to be removed.
    await chmod(path, (mode & 0o7777) | 0o400);
    return open(path, flags);
  });
  try {
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20, signal })) {
      hash.update(chunk as Buffer);
      onBytes((chunk as Buffer).length);
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}
