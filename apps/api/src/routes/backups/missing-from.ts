import type { FullBackup } from '@tarfleet/db';

/** Whoever asks for all of a partial backup must hear what of it will not come back. */
export function missingFrom(backup: Pick<FullBackup, 'artifacts'>, services: string[] | null): string[] {
  const failed = backup.artifacts.filter(({ status }) => status !== 'completed');
  if (services !== null || failed.length === 0) return [];
  const names = failed.map(({ serviceName }) => serviceName).join(', ');
  return [`The backup is partial: it does not hold ${names}, so that is not restored.`];
}
