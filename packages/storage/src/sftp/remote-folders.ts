/** Folders of an SFTP server: walking, making and removing them. */
import type { FileEntryWithStats, Stats } from 'ssh2';
import { isKey } from '../keys.ts';
import { STATUS, statusOf } from './sftp-faults.ts';
import type { SftpSession } from './sftp-session.ts';
import { closeHandle } from './write-file.ts';

export interface FoundFile {
  path: string;
  /** Relative to where the walk began, with slashes. */
  name: string;
  bytes: number;
  modifiedAt: Date | null;
}

/** Null when there is nothing of that name; a link is not followed. */
export async function lstatOf(
  session: SftpSession,
  path: string,
  signal: AbortSignal,
): Promise<Stats | null> {
  try {
    return await session.call<Stats>(signal, (sftp, done) => sftp.lstat(path, done));
  } catch (error) {
    if (statusOf(error) === STATUS.noSuchFile) return null;
    throw error;
  }
}

/**
 * Every regular file below a folder, one page of names in memory for each folder on the way. A folder that is missing
 * is empty; links are not followed. A folder that cannot be opened is an error, unless its name shows that it is
 * somebody else's (`lost+found`, or no UTF-8): then it is given out itself, with a slash.
 */
export async function* walk(
  session: SftpSession,
  folder: string,
  signal: AbortSignal,
  prefix = '',
): AsyncGenerator<FoundFile> {
  const handle = await session
    .call<Buffer>(signal, (sftp, done) => sftp.opendir(folder, done))
    .catch((error: unknown) => {
      const foreign = prefix !== '' && !isKey(prefix.slice(0, -1));
      if (foreign && statusOf(error) !== null) return 'closed' as const;
      if (statusOf(error) === STATUS.noSuchFile) return null;
      throw error;
    });
  if (handle === 'closed') yield { path: folder, name: prefix, bytes: 0, modifiedAt: null };
  if (handle === null || handle === 'closed') return;
  try {
    for (
      let page = await nextPage(session, handle, signal);
      page;
      page = await nextPage(session, handle, signal)
    ) {
      for (const { filename, attrs } of page) {
        const found = { path: `${folder}/${filename}`, name: prefix + filename };
        if (attrs.isDirectory()) yield* walk(session, found.path, signal, `${found.name}/`);
        else if (attrs.isFile())
          yield { ...found, bytes: attrs.size, modifiedAt: new Date(attrs.mtime * 1000) };
      }
    }
  } finally {
    await closeHandle(session, handle).catch(() => undefined);
  }
}

/** Null at the end. */
async function nextPage(
  session: SftpSession,
  handle: Buffer,
  signal: AbortSignal,
): Promise<FileEntryWithStats[] | null> {
  try {
    const page = await session.call<FileEntryWithStats[]>(signal, (sftp, done) =>
      sftp.readdir(handle, done as never),
    );
    return page.filter(({ filename }) => filename !== '.' && filename !== '..');
  } catch (error) {
    if (statusOf(error) === STATUS.endOfFile) return null;
    throw error;
  }
}

/** Makes the folders of a path below `root`, one by one and 0700, but never `root` itself. */
export async function makeFolders(
  session: SftpSession,
  root: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  let path = root;
  for (const name of names) {
    path = `${path}/${name}`;
    await makeFolder(session, path, signal);
  }
}

/** No error when it is there: the protocol does not tell that from other failures, so it is looked at. */
export async function makeFolder(session: SftpSession, path: string, signal: AbortSignal): Promise<void> {
  try {
    await session.call(signal, (sftp, done) => sftp.mkdir(path, { mode: 0o700 }, done));
  } catch (error) {
    if (statusOf(error) === null) throw error;
    const there = await lstatOf(session, path, signal);
    if (!there?.isDirectory()) throw error;
  }
}

/** Removes folders that have become empty, from `folder` up to but not including `root`. */
export async function pruneFolders(
  session: SftpSession,
  root: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const base = root === '/' ? '/' : `${root}/`;
  for (
    let path = folder;
    path.length > base.length && path.startsWith(base);
    path = path.slice(0, path.lastIndexOf('/'))
  ) {
    try {
      await session.call(signal, (sftp, done) => sftp.rmdir(path, done));
    } catch {
      // Not empty, gone already, or not ours to remove: an empty folder is no object, so nothing is wrong.
      return;
    }
  }
}
