import { createHash } from 'node:crypto';
import { MANIFEST_NAME, type Manifest, parseManifest } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';

/** No manifest comes near it; what does is not one. */
const MAX_BYTES = 64 << 20;

export interface LoadedManifest {
  manifest: Manifest;
  /** As it is stored. */
  bytes: Buffer;
  sha256: string;
}

/**
 * Reads and checks a backup's manifest. Null when there is none. BACKUP_CORRUPTED when it is not a manifest,
 * belongs to another backup, or is not the one that was recorded (`sha256`, when given).
 */
export async function loadManifest(
  storage: Storage,
  place: { keyPrefix: string; backupId: string; sha256: string | null },
  signal: AbortSignal,
): Promise<LoadedManifest | null> {
  const key = `${place.keyPrefix}/${MANIFEST_NAME}`;
  const found = await storage.stat(key, signal);
  if (!found) return null;
  if (found.bytes > MAX_BYTES) throw corrupted(`${key} has ${found.bytes} bytes, which no manifest has.`);
  const chunks: Buffer[] = [];
  for await (const chunk of (await storage.get(key, { signal })) as AsyncIterable<Buffer>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (place.sha256 !== null && sha256 !== place.sha256) {
    throw corrupted(
      `${key} is not the manifest that was recorded for this backup: it was changed or replaced.`,
    );
  }
  const manifest = parseManifest(bytes);
  if (manifest.backupId !== place.backupId) {
    throw corrupted(`${key} belongs to backup ${manifest.backupId}, not to ${place.backupId}.`);
  }
  return { manifest, bytes, sha256 };
}

function corrupted(message: string): AppError {
  return new AppError('BACKUP_CORRUPTED', message);
}
