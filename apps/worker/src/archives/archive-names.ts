/** How one backup's index names another backup's archive: as a path from its own manifest's folder. */
import { posix } from 'node:path';
import type { IndexArchive } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';

export function nameFrom(keyPrefix: string, key: string): string {
  return posix.relative(keyPrefix, key);
}

/**
 * The key of an archive that an index names. It must lie in a folder of the backup it says it is of, in the same
 * project's part of the destination: else BACKUP_CORRUPTED.
 */
export function keyOf(keyPrefix: string, { name, backupId, artifactId }: IndexArchive): string {
  const key = posix.join(keyPrefix, name);
  const project = `${keyPrefix.split('/')[0]}/`;
  if (key.startsWith(project) && key.includes(`/${backupId}/${artifactId}/`)) return key;
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The backup's index names the archive ${name}, which is not the one it says.`,
  );
}
