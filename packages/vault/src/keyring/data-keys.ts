import type { ErrorCode } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import {
  type ArchiveOfKey,
  createKeyObject,
  type KeyObject,
  type KeyStore,
  keyObjectsOf,
  openKeyObject,
} from './key-objects.ts';
import type { Keyring } from './keyring.ts';
import { newDataKeyBytes } from './wrapped-key.ts';

/** Each look past the first means that the key objects were exchanged since the one before. */
const MOST_LOOKS = 5;
/** How an exchange under way may look like a fault. */
const BY_EXCHANGE: ReadonlySet<ErrorCode> = new Set([
  'BACKUP_CORRUPTED',
  'ENCRYPTION_KEY_NOT_FOUND',
  'OBJECT_NOT_FOUND',
]);

/** Makes an archive's own key and stores it wrapped. ENCRYPTION_KEY_NOT_FOUND, and the store's own errors. */
export async function storeDataKey(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, keyName, ids }: ArchiveOfKey & { keyName: string },
  signal: AbortSignal,
): Promise<Buffer> {
  const dataKey = newDataKeyBytes();
  const wrapped = await keyring.wrap(keyName, dataKey, ids, signal);
  await createKeyObject(store, { archiveKey, wrapped, again: false }, signal);
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
    const objects = await keyObjectsOf(store, archiveKey, signal);
    const names = objects.map(({ key }) => key).join('\n');
    try {
      return await openAny(store, keyring, { archiveKey, ids, objects }, signal);
    } catch (error) {
      // While the key objects are exchanged a list may name one that goes, and miss the one that has come for it.
      const settled = names === before || look === MOST_LOOKS;
      if (settled || !(error instanceof AppError) || !BY_EXCHANGE.has(error.code)) throw error;
      before = names;
    }
  }
}

async function openAny(
  store: KeyStore,
  keyring: Keyring,
  { archiveKey, ids, objects }: ArchiveOfKey & { objects: KeyObject[] },
  signal: AbortSignal,
): Promise<Buffer> {
  if (objects.length === 0) {
    throw new AppError('BACKUP_CORRUPTED', `The key of ${archiveKey} is gone from the destination.`);
  }
  const faults: unknown[] = [];
  for (const object of objects.filter(({ keyName }) => keyring.has(keyName))) {
    try {
      return await openKeyObject(store, keyring, { object, ids }, signal);
    } catch (error) {
      // Another of its key objects may be sound.
      faults.push(error);
      signal.throwIfAborted();
    }
  }
  const passing = faults.find(isPassing);
  if (passing !== undefined) throw passing;
  const names = [...new Set(objects.map(({ keyName }) => keyName))];
  const known = names.filter((name) => keyring.has(name));
  const missing = names.filter((name) => !keyring.has(name));
  if (missing.length === 0) throw faults[0];
  const failed = known.length > 0 ? ` Its key object for ${known.join(' and ')} does not open it.` : '';
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    `The archive is encrypted with the key ${missing.join(' or ')}, which this worker's keyring (KEYRING_FILE) does not have.${failed}`,
    { details: { keys: missing }, cause: faults[0] },
  );
}

/** Another try may find it otherwise; it says nothing about the key. */
function isPassing(error: unknown): boolean {
  return !(error instanceof AppError) || error.retryable;
}
