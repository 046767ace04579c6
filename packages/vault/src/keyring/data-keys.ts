/** Archives' own keys in the destination: objects beside the archive, so that a change of keys touches nothing else. */
import type { ErrorCode } from '@tarfleet/contracts';
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
/** Each look past the first means that the key objects were exchanged since the one before. */
const MOST_LOOKS = 5;
/** How an exchange under way may look like a fault. */
const BY_EXCHANGE: ReadonlySet<ErrorCode> = new Set([
  'BACKUP_CORRUPTED',
  'ENCRYPTION_KEY_NOT_FOUND',
  'OBJECT_NOT_FOUND',
]);

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
  let before: string | null = null;
  for (let look = 1; ; look += 1) {
    const names = await keyNamesOf(store, archiveKey, signal);
    try {
      return await openAny(store, keyring, { archiveKey, ids, names }, signal);
    } catch (error) {
      // While the key objects are exchanged a list may name one that goes, and miss the one that has come for it.
      const settled = names.join() === before || look === MOST_LOOKS;
      if (settled || !(error instanceof AppError) || !BY_EXCHANGE.has(error.code)) throw error;
      before = names.join();
    }
  }
}

async function openAny(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids, names }: ArchiveOfKey & { names: string[] },
  signal: AbortSignal,
): Promise<Buffer> {
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

export interface RewrapOptions extends ArchiveOfKey {
  /** The new key's name. */
  to: string;
  /** Asked before each deletion; rejects when this is no longer the one that may do it. */
  assertOwned(): Promise<void>;
}

/**
 * Wraps an archive's key with another key of the keyring: the new object is written and read back before the old
 * ones go. Killed at any moment, the archive can be opened, and doing it again finishes it. Gives whether anything
 * was changed. Two at once for one archive must have the same `to`: else each may take the other's key for an old one.
 */
export async function rewrapDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids, to, assertOwned }: RewrapOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const dataKey = await openDataKey(store, keyring, { archiveKey, ids }, signal);
  const names = await keyNamesOf(store, archiveKey, signal);
  if (!names.includes(to)) {
    const wrapped = await keyring.wrap(to, dataKey, ids);
    // An attempt before this one may have written it just now: what counts is what is read back.
    await store.create(objectName(archiveKey, to), serialize(wrapped), signal).catch(unlessThere);
  }
  const again = await open(store, keyring, { archiveKey, name: to, ids }, signal);
  if (!again.equals(dataKey)) {
    throw new AppError('BACKUP_CORRUPTED', `The key objects of ${archiveKey} hold different keys.`);
  }
  const old = names.filter((name) => name !== to);
  for (const name of old) {
    await assertOwned();
    await store.delete(objectName(archiveKey, name), signal);
  }
  return old.length > 0 || !names.includes(to);
}

function unlessThere(error: unknown): void {
  if (!(error instanceof AppError) || error.code !== 'OBJECT_EXISTS') throw error;
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
