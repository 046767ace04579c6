import { MANIFEST_NAME } from '@tarfleet/archive';
import type { Storage } from '@tarfleet/storage';

export interface Cleared {
  objects: number;
  bytes: number;
  uploads: number;
}

/**
 * Removes the objects below a backup's prefix that are not to be kept, and every unfinished upload there.
 * A manifest that goes is removed first, so that a half-removed backup does not exist.
 */
export async function clearPrefix(
  storage: Storage,
  keyPrefix: string,
  keep: (key: string) => boolean,
  signal: AbortSignal,
): Promise<Cleared> {
  const uploads = await storage.abortUploads(keyPrefix, signal);
  const cleared: Cleared = { objects: 0, bytes: 0, uploads };
  const manifestKey = `${keyPrefix}/${MANIFEST_NAME}`;
  const remove = async (key: string, bytes: number): Promise<void> => {
    signal.throwIfAborted();
    await storage.delete(key, signal);
    cleared.objects += 1;
    cleared.bytes += bytes;
  };
  if (!keep(manifestKey)) {
    const manifest = await storage.stat(manifestKey, signal);
    if (manifest) await remove(manifest.key, manifest.bytes);
  }
  for await (const object of storage.list(keyPrefix, signal)) {
    // What others put there is theirs.
    if (!object.foreign && !keep(object.key)) await remove(object.key, object.bytes);
  }
  return cleared;
}
