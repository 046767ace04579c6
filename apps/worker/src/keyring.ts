import { createKeyring, type Keyring, parseKeyringFile, passphraseKey } from '@tarfleet/vault';
import type { WorkerEnv } from './env.ts';

/** The keys that the environment gives. Without any, encrypted backups are neither made nor read here. */
export function openKeyring(env: Pick<WorkerEnv, 'KEYRING' | 'BACKUP_ENCRYPTION_PASSPHRASE'>): Keyring {
  const { KEYRING, BACKUP_ENCRYPTION_PASSPHRASE } = env;
  const file = KEYRING === undefined ? { keys: [], primary: null } : parseKeyringFile(KEYRING);
  if (BACKUP_ENCRYPTION_PASSPHRASE === undefined) return createKeyring(file);
  const key = passphraseKey(BACKUP_ENCRYPTION_PASSPHRASE);
  return createKeyring({ keys: [...file.keys, key], primary: file.primary ?? key.name });
}
