/** Archives' own keys in the destination: objects beside the archive, so that a change of keys touches nothing else. */
import { AppError } from '@tarfleet/kernel';
import type { Keyring } from './keyring.ts';
import { type KeyIds, newDataKeyBytes, parseWrappedKey, type WrappedKey } from './wrapped-key.ts';

/** What of a destination is needed; `Storage` of @tarfleet/storage is one. */
export interface KeyStore {
  create(key: string, body: Buffer, signal: AbortSignal): Promise<void>;
  get(key: string, options: { signal: AbortSignal }): Promise<AsyncIterable<Buffer>>;
  list(prefix: string, signal: AbortSignal): AsyncIterable<{ key: string; bytes: number }>;
  delete(key: string, signal: AbortSignal): Promise<void>;
}

export interface ArchiveOfKey {
  /** The archive's object. */
  archiveKey: string;
  ids: KeyIds;
}

const OBJECT = /^(.+\.tar\.gz\.enc)\.key\.([a-z0-9-]+)\.json$/;
/** No key object comes near it. */
const MAX_BYTES = 64 * 1024;

/** The archive whose key an object holds; null when it holds none. */
export function archiveOfKeyObject(key: string): string | null {
  return OBJECT.exec(key)?.[1] ?? null;
}

/** Makes an archive's own key and stores it wrapped. ENCRYPTION_KEY_NOT_FOUND, and the store's own errors. */
export async function storeDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, keyName, ids }: ArchiveOfKey & { keyName: string },
  signal: AbortSignal,
): Promise<Buffer> {
  const dataKey = newDataKeyBytes();
  const wrapped = await keyring.wrap(keyName, dataKey, ids);
  await store.create(objectName(archiveKey, keyName), serialize(wrapped), signal);
  return dataKey;
}

/**
 * An archive's own key, by whichever of its key objects this keyring opens. ENCRYPTION_KEY_NOT_FOUND names the keys
 * that would; BACKUP_CORRUPTED when the archive has no key object at all.
 */
export async function openDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids }: ArchiveOfKey,
  signal: AbortSignal,
): Promise<Buffer> {
  const names = await keyNamesOf(store, archiveKey, signal);
  if (names.length === 0) {
    throw new AppError('BACKUP_CORRUPTED', `The key of ${archiveKey} is gone from the destination.`);
  }
  const known = names.filter((name) => keyring.has(name));
  let fault: unknown;
  for (const name of known) {
    try {
      return await open(store, keyring, { archiveKey, name, ids }, signal);
    } catch (error) {
      // Another of its key objects may be sound.
      fault ??= error;
      signal.throwIfAborted();
    }
  }
  if (fault !== undefined) throw fault;
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    `The archive is encrypted with the key ${names.join(' or ')}, which this worker's keyring (KEYRING_FILE) does not have.`,
    { details: { keys: names } },
  );
}

/**
 * Wraps an archive's key with another key of the keyring: the new object is written and read back before the old
 * ones go. Killed at any moment, the archive can be opened, and doing it again finishes it. Gives whether anything
 * was changed.
 */
export async function rewrapDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids, to }: ArchiveOfKey & { to: string },
  signal: AbortSignal,
): Promise<boolean> {
  const dataKey = await openDataKey(store, keyring, { archiveKey, ids }, signal);
  const names = await keyNamesOf(store, archiveKey, signal);
  if (!names.includes(to)) {
    const wrapped = await keyring.wrap(to, dataKey, ids);
    await store.create(objectName(archiveKey, to), serialize(wrapped), signal);
  }
  const again = await open(store, keyring, { archiveKey, name: to, ids }, signal);
  if (!again.equals(dataKey)) {
    throw new AppError('BACKUP_CORRUPTED', `The key objects of ${archiveKey} hold different keys.`);
  }
  const old = names.filter((name) => name !== to);
  for (const name of old) await store.delete(objectName(archiveKey, name), signal);
  return old.length > 0 || !names.includes(to);
}

async function open(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, name, ids }: ArchiveOfKey & { name: string },
  signal: AbortSignal,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of await store.get(objectName(archiveKey, name), { signal })) {
    bytes += part.length;
    if (bytes > MAX_BYTES)
      throw new AppError('BACKUP_CORRUPTED', `The key object of ${archiveKey} is too long.`);
    parts.push(part);
  }
  const wrapped = parseWrappedKey(Buffer.concat(parts).toString('utf8'));
  if (wrapped.keyName === name) return keyring.unwrap(wrapped, ids);
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The key object of ${archiveKey} is of another key than its name says.`,
  );
}

/** Names of the keys that an archive's own key is wrapped with. */
async function keyNamesOf(store: KeyStore, archiveKey: string, signal: AbortSignal): Promise<string[]> {
  const folder = archiveKey.slice(0, archiveKey.lastIndexOf('/'));
  const names: string[] = [];
  for await (const { key } of store.list(folder, signal)) {
    const [, archive, name] = OBJECT.exec(key) ?? [];
    if (archive === archiveKey && name !== undefined) names.push(name);
  }
  return names.sort();
}

function objectName(archiveKey: string, keyName: string): string {
  return `${archiveKey}.key.${keyName}.json`;
}

function serialize(wrapped: WrappedKey): Buffer {
  return Buffer.from(`${JSON.stringify(wrapped)}\n`);
}
