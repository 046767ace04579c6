import type { ErrorCode } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { openDataKey } from './data-keys.ts';
import {
  type ArchiveOfKey,
  createKeyObject,
  type KeyObject,
  type KeyStore,
  keyObjectsOf,
  openKeyObject,
} from './key-objects.ts';
import type { Keyring } from './keyring.ts';

export interface RewrapOptions extends ArchiveOfKey {
  /** The new key's name. */
  to: string;
  /** Asked before each deletion; rejects when this is no longer the one that may do it. */
  assertOwned(): Promise<void>;
  /** Told of each key whose object stays. */
  onKept?(keyName: string): void;
}

/** A key object that we do not open; whatever is wrong with it, it stays. */
const NOT_OPENED: ReadonlySet<ErrorCode> = new Set([
  'BACKUP_CORRUPTED',
  'ENCRYPTION_KEY_NOT_FOUND',
  'NOT_SUPPORTED',
  'OBJECT_NOT_FOUND',
]);

/**
 * Wraps an archive's key with another key of the keyring: a new object is written and read back before the old ones
 * go. Killed at any moment, the archive can be opened, and doing it again finishes it. An old object goes only when
 * it was opened and held the same key: one of a key that is not in this keyring stays. Gives whether anything was
 * changed.
 *
 * Whatever else goes on at the same time, and however long an attempt sleeps before it deletes: what it deletes was
 * there before it wrote an object of its own, whose name nobody else ever uses. So the newest object that anybody
 * has read back is deleted by nobody. That is why an object of the new key that is there already is not made do with.
 */
export async function rewrapDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids, to, assertOwned, onKept }: RewrapOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const dataKey = await openDataKey(store, keyring, { archiveKey, ids }, signal);
  const old: KeyObject[] = [];
  for (const object of await keyObjectsOf(store, archiveKey, signal)) {
    const held = keyring.has(object.keyName)
      ? await openKeyObject(store, keyring, { object, ids }, signal).catch(ifNotOpened)
      : null;
    if (held === null) onKept?.(object.keyName);
    else if (held.equals(dataKey)) old.push(object);
    else {
      throw new AppError('BACKUP_CORRUPTED', `The key objects of ${archiveKey} hold different keys.`);
    }
  }
  if (old.length > 0 && old.every(({ keyName }) => keyName === to)) return false;
  const wrapped = await keyring.wrap(to, dataKey, ids, signal);
  const fresh = await createKeyObject(store, { archiveKey, wrapped, again: true }, signal);
  if (!(await openKeyObject(store, keyring, { object: fresh, ids }, signal)).equals(dataKey)) {
    throw new AppError('BACKUP_CORRUPTED', `The new key object of ${archiveKey} does not hold its key.`);
  }
  for (const { key } of old) {
    await assertOwned();
    await store.delete(key, signal);
  }
  return true;
}

function ifNotOpened(error: unknown): null {
  if (error instanceof AppError && NOT_OPENED.has(error.code)) return null;
  throw error;
}
