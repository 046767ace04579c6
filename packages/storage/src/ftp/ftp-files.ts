/** What is made of an FTP server's commands. Paths are absolute, one character for each byte. */
import { type Client, type FileInfo, FileType } from 'basic-ftp';
import { isKey, PART_NAME } from '../keys.ts';
import { isUnavailable, saysDenied } from './ftp-faults.ts';

/** Null where there is no such file: a folder has no size. */
export async function sizeOf(client: Client, path: string): Promise<number | null> {
  try {
    return await client.size(path);
  } catch (error) {
    if (isUnavailable(error) && !saysDenied(error)) return null;
    throw error;
  }
}

/** No error when it is gone already. */
export async function removeFile(client: Client, path: string): Promise<boolean> {
  try {
    await client.remove(path);
    return true;
  } catch (error) {
    if (isUnavailable(error) && (await sizeOf(client, path)) === null) return false;
    throw error;
  }
}

export async function isFolder(client: Client, path: string): Promise<boolean> {
  try {
    await client.cd(path);
    return true;
  } catch (error) {
    if (isUnavailable(error)) return false;
    throw error;
  }
}

/** No error when it is there: servers have several codes for that. */
export async function makeFolder(client: Client, path: string): Promise<void> {
  try {
    await client.send(`MKD ${path}`);
  } catch (error) {
    if (!(await isFolder(client, path))) throw error;
  }
}

/** Removes folders that have become empty, from `folder` up to but not including `root`. */
export async function pruneFolders(client: Client, root: string, folder: string): Promise<void> {
  const base = root === '/' ? '/' : `${root}/`;
  for (
    let path = folder;
    path.length > base.length && path.startsWith(base);
    path = path.slice(0, path.lastIndexOf('/'))
  ) {
    try {
      await client.send(`RMD ${path}`);
    } catch (error) {
      // Not empty, gone already, or not ours to remove: an empty folder is no object, so nothing is wrong.
      if (client.closed) throw error;
      return;
    }
  }
}

export interface FoundEntry {
  path: string;
  /** Relative to where the walk began, with slashes, one character for each byte. */
  name: string;
  bytes: number;
  modifiedAt: Date | null;
  /** A folder that is a lock (`take-lock.ts`): nothing is in it. */
  isLock: boolean;
}

/**
 * Every file below a folder, and locks; a folder's listing is in memory whole, as the library gives it. A folder that is
 * missing is empty; links are not followed. One that cannot be entered is an error, unless its name shows that it is
 * somebody else's: then it is given out itself, with a slash.
 */
export async function* walk(
  listed: (folder: string) => Promise<FileInfo[] | null>,
  folder: string,
  prefix: string,
): AsyncGenerator<FoundEntry> {
  const foreign = prefix !== '' && !isKey(prefix.slice(0, -1));
  const entries = await listed(folder).catch((error: unknown) => {
    if (foreign) return 'closed' as const;
    throw error;
  });
  if (entries === 'closed') {
    yield { path: folder, name: prefix, bytes: 0, modifiedAt: null, isLock: false };
    return;
  }
  for (const entry of entries ?? []) {
    const { name: own, size: bytes, modifiedAt = null, type } = entry;
    const [path, name] = [`${folder}/${own}`, prefix + own];
    const isLock = type === FileType.Directory && PART_NAME.test(own);
    if (type === FileType.File || isLock) yield { path, name, bytes: isLock ? 0 : bytes, modifiedAt, isLock };
    else if (type === FileType.Directory && own !== '.' && own !== '..')
      yield* walk(listed, path, `${name}/`);
  }
}
