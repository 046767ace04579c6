import { type Manifest, manifestMacInput } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { type Keyring, macMatches, macOf, openDataKey } from '@tarfleet/vault';

/** The manifest with a MAC under the key of the first artifact whose key this worker can open; as it is when not encrypted. */
export async function sealManifest(
  keyring: Keyring,
  storage: Storage,
  keyPrefix: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Manifest> {
  if (manifest.encryption === null) return manifest;
  for (const { artifactId } of manifest.artifacts) {
    const key = await keyOf(keyring, storage, { keyPrefix, manifest, artifactId }, signal).catch(ifOthers);
    if (key === null) continue;
    const hmacSha256 = macOf(key, manifestMacInput(manifest));
    return { ...manifest, encryption: { ...manifest.encryption, mac: { artifactId, hmacSha256 } } };
  }
  return manifest;
}

/** BACKUP_CORRUPTED when the manifest's MAC is wrong. One that this worker has no key for says nothing. */
export async function checkManifestMac(
  keyring: Keyring,
  storage: Storage,
  keyPrefix: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const mac = manifest.encryption?.mac;
  if (!mac) return;
  const { artifactId, hmacSha256 } = mac;
  const key = await keyOf(keyring, storage, { keyPrefix, manifest, artifactId }, signal).catch(ifOthers);
  if (key === null || macMatches(key, manifestMacInput(manifest), hmacSha256)) return;
  throw new AppError(
    'BACKUP_CORRUPTED',
    "The backup's manifest was changed: it was not written by whoever holds the backup's key.",
  );
}

async function keyOf(
  keyring: Keyring,
  storage: Storage,
  { keyPrefix, manifest, artifactId }: { keyPrefix: string; manifest: Manifest; artifactId: string },
  signal: AbortSignal,
): Promise<Buffer> {
  const artifact = manifest.artifacts.find((one) => one.artifactId === artifactId);
  if (!artifact) {
    throw new AppError('BACKUP_CORRUPTED', "The manifest's MAC names an artifact that the backup has not.");
  }
  const ids = { backupId: manifest.backupId, artifactId };
  return openDataKey(storage, keyring, { archiveKey: `${keyPrefix}/${artifact.object.name}`, ids }, signal);
}

/** Pools may have keyrings of their own. */
function ifOthers(error: unknown): null {
  if (error instanceof AppError && error.code === 'ENCRYPTION_KEY_NOT_FOUND') return null;
  throw error;
}
