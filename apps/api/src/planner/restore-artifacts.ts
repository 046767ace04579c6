import type { ArtifactRecord, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

/** What of a backup is restored: by id or name, or all that it holds. NOT_FOUND names what it does not hold. */
export function chooseArtifacts(backup: FullBackup, wanted: string[] | null): ArtifactRecord[] {
  const there = backup.artifacts.filter((artifact) => artifact.status === 'completed');
  if (wanted === null) return there;
  const unknown = wanted.filter(
    (name) => !there.some((artifact) => artifact.serviceId === name || artifact.serviceName === name),
  );
  if (unknown.length > 0) {
    const names = there.map((artifact) => artifact.serviceName).join(', ');
    throw new AppError(
      'NOT_FOUND',
      `The backup holds no service ${unknown.join(', ')}. It holds: ${names}.`,
      {
        details: { services: unknown },
      },
    );
  }
  return there.filter(
    ({ serviceId, serviceName }) => wanted.includes(serviceId) || wanted.includes(serviceName),
  );
}

/** The one server that all of them are of. VALIDATION_FAILED asks to choose among several. */
export function onlyServer(artifacts: ArtifactRecord[]): string {
  const ids = new Set(artifacts.map((artifact) => artifact.serverId));
  const [id] = ids;
  if (id === undefined) throw new AppError('BACKUP_INCOMPLETE', 'The backup holds nothing to restore.');
  if (ids.size === 1) return id;
  const byServer = artifacts.map((artifact) => `${artifact.serviceName} (${artifact.serverName})`).join(', ');
  throw new AppError(
    'VALIDATION_FAILED',
    `This backup holds services of ${ids.size} servers, and a restore is for one. Choose the services of one server by selectedServices: ${byServer}.`,
  );
}
