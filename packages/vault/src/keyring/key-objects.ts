/** Archives' own keys in the destination: objects beside the archive, so that a change of keys touches nothing else. */
import { randomBytes } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { Keyring } from './keyring.ts';
import { type KeyIds, parseWrappedKey, type WrappedKey } from './wrapped-key.ts';

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

/** One of the objects that hold an archive's key. */
export interface KeyObject {
  archiveKey: string;
  /** Its own name in the destination. */
  key: string;
  /** Of the key of a keyring that it is wrapped with. */
  keyName: string;
}

/**
 * The key's name is as `KeyName` of the contracts has it. Behind it stands what makes the names of later objects
 * unlike each other: none is ever used again.
 */
const OBJECT = /^(.+\/.+\.tar\.gz\.enc)\.key\.([a-z0-9][a-z0-9-]{0,39})(?:\.[0-9a-f]{16})?\.json$/;
/** No key object comes near it. */
const MAX_BYTES = 64 * 1024;

/** The archive whose key an object holds; null when it holds none. */
export function archiveOfKeyObject(key: string): string | null {
  return OBJECT.exec(key)?.[1] ?? null;
}

/** An archive's key objects, sorted by name. */
export async function keyObjectsOf(
  store: KeyStore,
  archiveKey: string,
  signal: AbortSignal,
): Promise<KeyObject[]> {
  const folder = archiveKey.slice(0, archiveKey.lastIndexOf('/'));
  const found: KeyObject[] = [];
  for await (const { key } of store.list(folder, signal)) {
    const [, archive, keyName] = OBJECT.exec(key) ?? [];
    if (archive === archiveKey && keyName !== undefined) found.push({ archiveKey, key, keyName });
  }
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/**
 * The first one of an archive (`again` false), or one more. Only where there is none of that name yet: OBJECT_EXISTS.
 * Throws TypeError for what would never be found again as an archive's key.
 */
export async function createKeyObject(
  store: KeyStore,
  { archiveKey, wrapped, again }: { archiveKey: string; wrapped: WrappedKey; again: boolean },
  signal: AbortSignal,
): Promise<KeyObject> {
  const { keyName } = wrapped;
  const key = `${archiveKey}.key.${keyName}${again ? `.${randomBytes(8).toString('hex')}` : ''}.json`;
  if (archiveOfKeyObject(key) !== archiveKey) {
    throw new TypeError(`${archiveKey} cannot have a key object: it is not named as an encrypted archive.`);
  }
  await store.create(key, Buffer.from(`${JSON.stringify(wrapped)}\n`), signal);
  return { archiveKey, key, keyName };
}

/** OBJECT_NOT_FOUND, BACKUP_CORRUPTED, NOT_SUPPORTED, and what the keyring says. */
export async function openKeyObject(
  store: KeyStore,
  keyring: Keyring,
  { object, ids }: { object: KeyObject; ids: KeyIds },
  signal: AbortSignal,
): Promise<Buffer> {
  const wrapped = parseWrappedKey(await readKeyObject(store, object, signal));
  if (wrapped.keyName === object.keyName) return keyring.unwrap(wrapped, ids, signal);
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The key object of ${object.archiveKey} is of another key than its name says.`,
  );
}

async function readKeyObject(
  store: KeyStore,
  { archiveKey, key }: KeyObject,
  signal: AbortSignal,
): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of await store.get(key, { signal })) {
    bytes += part.length;
    if (bytes > MAX_BYTES)
      throw new AppError('BACKUP_CORRUPTED', `The key object of ${archiveKey} is too long.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
