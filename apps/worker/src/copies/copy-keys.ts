/** The wrapped keys of a backup's archives: small objects that no manifest names, since they change. */
import { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { archiveOfKeyObject, parseWrappedKey } from '@tarfleet/vault';
import { type CopyPlaces, openSource } from './copy-object.ts';

/** No key object comes near it. */
const MAX_BYTES = 64 * 1024;

/**
 * Has the target hold the key objects that the source holds, of these archives, and no others: one that an earlier try
 * brought may be wrapped with a key that nobody is to need any more. No name of one is ever used again, so what is there
 * under a name has the right bytes, or is replaced. Gives how many there are. BACKUP_CORRUPTED for an archive without any.
 */
export async function copyKeys(
  places: CopyPlaces,
  { keyPrefix, archives }: { keyPrefix: string; archives: readonly string[] },
): Promise<{ objects: number; bytes: number; kept: number }> {
  const { source, target, signal, beforeCommit } = places;
  const done = { objects: 0, bytes: 0, kept: 0 };
  if (archives.length === 0) return done;
  const wanted = await keysIn(source, keyPrefix, archives, signal);
  const keyless = archives.find((archive) => ![...wanted].some((key) => archiveOfKeyObject(key) === archive));
  if (keyless !== undefined) {
    throw new AppError(
      'BACKUP_CORRUPTED',
      `The key of ${keyless} is gone from the backup's own destination.`,
    );
  }
  const there = await keysIn(target, keyPrefix, archives, signal);
  for (const key of wanted) {
    const bytes = await readSmall(await openSource(source, key, signal), key);
    // What is damaged is not copied, and takes the place of nothing.
    parseWrappedKey(bytes.toString());
    done.objects += 1;
    done.bytes += bytes.length;
    const before = there.has(key) ? await readSmall(await target.get(key, { signal }), key) : null;
    if (before?.equals(bytes)) {
      done.kept += 1;
      continue;
    }
    if (before && isKey(before)) {
      throw new AppError(
        'BACKUP_CORRUPTED',
        `The object ${key} is another one at the backup's own destination than at the copy, and one of them is damaged. Nothing was changed.`,
      );
    }
    const reread = (): Readable => Readable.from([bytes]);
    await target.put(key, reread(), { signal, beforeCommit, reread });
  }
  for (const key of there) {
    if (wanted.has(key)) continue;
    await beforeCommit();
    await target.delete(key, signal);
  }
  return done;
}

async function keysIn(
  storage: Storage,
  keyPrefix: string,
  archives: readonly string[],
  signal: AbortSignal,
): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const { key, foreign } of storage.list(keyPrefix, signal)) {
    const archive = foreign ? null : archiveOfKeyObject(key);
    if (archive !== null && archives.includes(archive)) found.add(key);
  }
  return found;
}

async function readSmall(body: Readable, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new AppError('BACKUP_CORRUPTED', `The object ${key} is too long.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function isKey(bytes: Buffer): boolean {
  try {
    parseWrappedKey(bytes.toString());
    return true;
  } catch {
    // Cut short, or never one: it may be replaced.
    return false;
  }
}
