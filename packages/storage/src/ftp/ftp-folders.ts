/** Folders of an FTP server: made for what comes, tried, listed. */
import { posix } from 'node:path';
import type { Client, FileInfo } from 'basic-ftp';
import { type FtpPlace, isUnavailable, rootMissing, saysDenied } from './ftp-faults.ts';
import { isFolder, makeFolder } from './ftp-files.ts';

/** Makes a folder below `root` with all above it; the destination's own only where its parent is there. */
export async function prepareFolders(
  client: Client,
  place: FtpPlace,
  root: string,
  folder: string,
): Promise<void> {
  if (await isFolder(client, folder)) return;
  if (!(await isFolder(client, root))) {
    if (!(await isFolder(client, posix.dirname(root)))) throw rootMissing(place);
    await makeFolder(client, root);
  }
  let path = root === '/' ? '' : root;
  for (const name of posix.relative(root, folder).split('/').filter(Boolean)) {
    path = `${path}/${name}`;
    await makeFolder(client, path).catch((error: unknown) => {
      // Another call may have removed one of them again: then nothing can be stored, and all is tried once more.
      if (!isUnavailable(error) || saysDenied(error)) throw error;
    });
  }
}

/** Rejects with the server's own words where nothing can be made beside a file. */
export async function assertWritable(client: Client, part: string): Promise<void> {
  if (!(await isFolder(client, posix.dirname(part)))) return;
  try {
    await client.send(`MKD ${part}`);
  } catch (error) {
    if (!isUnavailable(error) || (await isFolder(client, posix.dirname(part)))) throw error;
  }
  await client.sendIgnoringError(`RMD ${part}`);
}

/** Null for a folder that is not there. */
export async function listFolder(client: Client, path: string): Promise<FileInfo[] | null> {
  try {
    await client.cd(path === '' ? '/' : path);
  } catch (error) {
    if (isUnavailable(error) && !saysDenied(error)) return null;
    throw error;
  }
  return client.list();
}
