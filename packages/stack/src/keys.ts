import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ApiKeys,
  generateApiKeys,
  generatePoolKeys,
  newKeyringFile,
  parseApiKeys,
  parsePoolKeys,
  publicHalf,
  recoveryKeyOf,
} from '@tarfleet/vault';

export const DEFAULT_POOL = 'default';

export interface KeyFiles {
  /** For the API alone. */
  apiKeys: string;
  /** Public: the pools' keys that the API seals with. */
  pools: string;
  /** For the workers of the default pool. */
  poolKeys: string;
  /** For those workers too: the keys of encrypted backups. */
  keyring: string;
}

export interface EnsuredKeys {
  files: KeyFiles;
  api: ApiKeys;
  /** Of the keyring's key for new backups, to be written down; null when it is none of raw bytes. */
  recoveryKey: string | null;
}

/** Makes the key files that are missing; those that are there stay, and must be readable. */
export async function ensureKeys(dir: string): Promise<EnsuredKeys> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const files: KeyFiles = {
    apiKeys: join(dir, 'api-keys.json'),
    pools: join(dir, 'pools.json'),
    poolKeys: join(dir, `pool-${DEFAULT_POOL}.json`),
    keyring: join(dir, 'keyring.json'),
  };
  if (!(await exists(files.apiKeys))) await write(files.apiKeys, generateApiKeys());
  const api = parseApiKeys(await readFile(files.apiKeys, 'utf8'));
  if (!(await exists(files.poolKeys))) {
    await write(files.poolKeys, generatePoolKeys(DEFAULT_POOL, api.signing));
  }
  const pool = parsePoolKeys(await readFile(files.poolKeys, 'utf8'));
  if (!(await exists(files.pools))) {
    await write(files.pools, { v: 1, pools: { [pool.pool]: { current: publicHalf(pool) } } });
  }
  if (!(await exists(files.keyring))) await write(files.keyring, newKeyringFile());
  return { files, api, recoveryKey: recoveryKeyOf(await readFile(files.keyring, 'utf8')) };
}

/** Whole or not at all: half a key file would lock everybody out. */
async function write(path: string, value: unknown): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  await writeFile(part, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(part, path);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
