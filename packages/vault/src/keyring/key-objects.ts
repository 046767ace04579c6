/** Archives' own keys in the destination: objects beside the archive, so that a change of keys touches nothing else. */
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

/** The last part is as `KeyName` of the contracts has it. */
const OBJECT = /^(.+\/.+\.tar\.gz\.enc)\.key\.([a-z0-9][a-z0-9-]{0,39})\.json$/;
/** No key object comes near it. */
const MAX_BYTES = 64 * 1024;

/** The archive whose key an object holds; null when it holds none. */
export function archiveOfKeyObject(key: string): string | null {
  return OBJECT.exec(key)?.[1] ?? null;
}

/** Throws TypeError for what would never be found again as an archive's key. */
export function keyObjectName(archiveKey: string, keyName: string): string {
  const name = `${archiveKey}.key.${keyName}.json`;
  if (archiveOfKeyObject(name) === archiveKey) return name;
  throw new TypeError(`${archiveKey} cannot have a key object: it is not named as an encrypted archive.`);
}

/** Names of the keys that an archive's own key is wrapped with, sorted. */
export async function keyNamesOf(
  store: KeyStore,
  archiveKey: string,
  signal: AbortSignal,
): Promise<string[]> {
  const folder = archiveKey.slice(0, archiveKey.lastIndexOf('/'));
  const names: string[] = [];
  for await (const { key } of store.list(folder, signal)) {
    const [, archive, name] = OBJECT.exec(key) ?? [];
    if (archive === archiveKey && name !== undefined) names.push(name);
  }
  return names.sort();
}

/** Only where there is none yet: OBJECT_EXISTS. */
export async function createKeyObject(
  store: KeyStore,
  archiveKey: string,
  wrapped: WrappedKey,
  signal: AbortSignal,
): Promise<void> {
  const body = Buffer.from(`${JSON.stringify(wrapped)}\n`);
  await store.create(keyObjectName(archiveKey, wrapped.keyName), body, signal);
}

/** OBJECT_NOT_FOUND, BACKUP_CORRUPTED, NOT_SUPPORTED, and what the keyring says. */
export async function openKeyObject(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, name, ids }: ArchiveOfKey & { name: string },
  signal: AbortSignal,
): Promise<Buffer> {
  const wrapped = parseWrappedKey(await readKeyObject(store, { archiveKey, name }, signal));
  if (wrapped.keyName === name) return keyring.unwrap(wrapped, ids, signal);
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The key object of ${archiveKey} is of another key than its name says.`,
  );
}

/** A key object's text, as it is. */
export async function readKeyObject(
  store: KeyStore,
  { archiveKey, name }: { archiveKey: string; name: string },
  signal: AbortSignal,
): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of await store.get(keyObjectName(archiveKey, name), { signal })) {
    bytes += part.length;
    if (bytes > MAX_BYTES)
      throw new AppError('BACKUP_CORRUPTED', `The key object of ${archiveKey} is too long.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
