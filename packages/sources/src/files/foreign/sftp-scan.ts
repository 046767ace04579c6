import { AppError } from '@tarfleet/kernel';
import { type RemoteFacts, type RemoteFiles, SftpStatus } from '@tarfleet/transport';
import { factsText } from '../capture/facts.ts';
import type { PathSorter } from '../capture/path-sorter.ts';
import { createOwner, isKept, type ScanOptions } from '../capture/scan.ts';
import { show } from '../paths.ts';
import { createExclusions, pseudoMounts } from './exclusions.ts';
import { orNull } from './sftp-roots.ts';

/** Folders that are listed at once: each costs some round trips. */
const AT_ONCE = 8;
const NO_SUCH_FILE = 2;
/**
 * How far the server's clock, which SFTP does not tell, may be behind ours, in seconds: what changed within that time
 * before the scan is read again by the next incremental.
 */
const CLOCK_DOUBT = 3600;

/** As `scan`, over SFTP: folder by folder. No inode, no time of the last change. */
export async function scanSftp(
  files: RemoteFiles,
  options: ScanOptions,
  sorter: PathSorter,
): Promise<number> {
  const { service, roots, warn, signal } = options;
  const clock = Math.floor(Date.now() / 1000) - CLOCK_DOUBT;
  const excluded = createExclusions(service.exclude);
  const rootNames = new Set(roots.map(({ path }) => path.toString('latin1')));
  const made = pseudoMounts(await readText(files, Buffer.from('/proc/self/mounts')));
  const owner = createOwner(roots);
  const take = async (path: Buffer, facts: RemoteFacts): Promise<void> => {
    const text = textOf(facts);
    if (facts.type === 'c' || facts.type === 'b') return warn(skippedDevice(path));
    if (isKept(text, path, warn)) await sorter.add(path, text);
  };
  /** Gives the folders that are to be listed next. */
  const visit = async (folder: Buffer): Promise<Buffer[]> => {
    signal.throwIfAborted();
    const next: Buffer[] = [];
    try {
      for await (const found of files.list(folder)) {
        for (const { name, facts: told } of found) {
          const path = join(folder, name);
          const facts = told ?? (await orNull(files.lstat(path)));
          if (facts === null) continue;
          const key = path.toString('latin1');
          const isRoot = rootNames.has(key);
          if (!isRoot && excluded(path, facts.type === 'd')) continue;
          if (owner.owns(path, undefined)) await take(path, facts);
          if (facts.type === 'd' && (isRoot || !made.has(key))) next.push(path);
        }
      }
    } catch (error) {
      if (!(error instanceof SftpStatus)) throw error;
      if (error.status !== NO_SUCH_FILE) warn(unlisted(folder, error.message));
    }
    return next;
  };
  for (const { path } of roots) {
    const facts = await orNull(files.lstat(path));
    if (facts === null) continue;
    if (owner.owns(path, '0')) await take(path, facts);
    // A stack: what waits is then some branches, not a whole level of the tree.
    const waiting = facts.type === 'd' ? [path] : [];
    while (waiting.length > 0) {
      const found = await Promise.all(waiting.splice(-AT_ONCE).map(visit));
      for (const folders of found) for (const folder of folders) waiting.push(folder);
    }
  }
  for (const bridge of owner.missing()) {
    const facts = await orNull(files.lstat(bridge));
    if (facts?.type === 'd') await take(bridge, facts);
  }
  return clock;
}

function textOf({ type, size, mode, uid, gid, mtime }: RemoteFacts): string {
  const unknown = { links: 1, device: '0', inode: null, ctime: null };
  return factsText({ ...unknown, type, size, mode, uid, gid, mtime: String(mtime) });
}

function join(folder: Buffer, name: Buffer): Buffer {
  if (name.length === 0 || name.includes(0) || name.includes(0x2f)) {
    throw new AppError('COMMAND_FAILED', `The server lists a name in ${show(folder)} that no file can have.`);
  }
  const slash = folder.length === 1 ? [] : [Buffer.from('/')];
  return Buffer.concat([folder, ...slash, name]);
}

/** A small text file, one character a byte; empty when it cannot be read. */
async function readText(files: RemoteFiles, path: Buffer): Promise<string> {
  const file = await orNull(files.open(path));
  if (file === null) return '';
  try {
    const parts: Buffer[] = [];
    for (let at = 0; at < 1024 * 1024; ) {
      const part = await orNull(file.read(at, 32 * 1024));
      if (part === null || part.length === 0) break;
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts).toString('latin1');
  } finally {
    await file.close();
  }
}

function unlisted(path: Buffer, because: string) {
  const message = `${show(path)} cannot be listed (${because}); the backup does not hold what is in it.`;
  return { code: 'FILE_UNREADABLE', message, path };
}

function skippedDevice(path: Buffer) {
  const message = `${show(path)} is a device, whose numbers SFTP does not tell; the backup does not hold it.`;
  return { code: 'KIND_SKIPPED', message, path };
}
