import type { ErrorCode } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { openDataKey } from './data-keys.ts';
import {
  type ArchiveOfKey,
  createKeyObject,
  type KeyStore,
  keyNamesOf,
  keyObjectName,
  openKeyObject,
  readKeyObject,
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
 * Wraps an archive's key with another key of the keyring: the new object is written and read back before the old
 * ones go. Killed at any moment, the archive can be opened, and doing it again finishes it. An old object goes only
 * when it was opened and held the same key: one of a key that is not in this keyring stays. Gives whether anything
 * was changed. Two at once for one archive must have the same `to`: else each may take the other's key for an old one.
 */
export async function rewrapDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids, to, assertOwned, onKept }: RewrapOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const dataKey = await openDataKey(store, keyring, { archiveKey, ids }, signal);
  const names = await keyNamesOf(store, archiveKey, signal);
  let changed = false;
  if (names.includes(to) && (await isCut(store, { archiveKey, name: to }, signal))) {
    await assertOwned();
    await store.delete(keyObjectName(archiveKey, to), signal);
    changed = true;
  }
  if (changed || !names.includes(to)) {
    const wrapped = await keyring.wrap(to, dataKey, ids, signal);
    // An attempt before this one may have written it just now: what counts is what is read back.
    await createKeyObject(store, archiveKey, wrapped, signal).catch(unlessThere);
    changed = true;
  }
  const again = await openKeyObject(store, keyring, { archiveKey, name: to, ids }, signal);
  if (!again.equals(dataKey)) {
    throw new AppError('BACKUP_CORRUPTED', `The key objects of ${archiveKey} hold different keys.`);
  }
  for (const name of names) {
    if (name === to) continue;
    const old = keyring.has(name)
      ? await openKeyObject(store, keyring, { archiveKey, name, ids }, signal).catch(ifNotOpened)
      : null;
    if (!old?.equals(dataKey)) {
      onKept?.(name);
      continue;
    }
    await assertOwned();
    await store.delete(keyObjectName(archiveKey, name), signal);
    changed = true;
  }
  return changed;
}

/** Where a destination cannot create an object whole, a crash may leave the beginning of one. It opens nothing. */
async function isCut(
  store: KeyStore,
  place: { archiveKey: string; name: string },
  signal: AbortSignal,
): Promise<boolean> {
  const text = await readKeyObject(store, place, signal);
  try {
    JSON.parse(text);
    return false;
  } catch {
    // Not JSON: that is the answer.
    return true;
  }
}

function unlessThere(error: unknown): void {
  if (!(error instanceof AppError) || error.code !== 'OBJECT_EXISTS') throw error;
}

function ifNotOpened(error: unknown): null {
  if (error instanceof AppError && NOT_OPENED.has(error.code)) return null;
  throw error;
}
