import type { ArtifactPlan } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import type { End } from './end.ts';

/**
 * Whether all that a backup failed to save is not there any more: a service whose every path is missing, or whose one
 * database is. A backup fails with PATH_NOT_FOUND only when each of its services has.
 */
export async function nothingWasThere(
  tx: Pick<Repositories, 'jobs'>,
  job: Pick<JobRecord, 'id' | 'kind'>,
  { state, result, failure }: End,
): Promise<boolean> {
  if (job.kind !== 'backup') return false;
  const failed = state === 'partial' && result?.kind === 'backup' ? result.failed : null;
  const codes = failed ? failed.map((one) => one.failure.code) : [failure?.code];
  if (codes.length === 0 || codes.some((code) => code !== 'PATH_NOT_FOUND')) return false;
  const children = await tx.jobs.children(job.id);
  return children
    .filter(({ id }) => !failed || failed.some(({ artifactId }) => artifactId === id))
    .every(({ plan }) => isGoneAsOne(JSON.parse(plan) as ArtifactPlan));
}

/** Of several databases, or of tables, one that is missing says nothing of the others. */
function isGoneAsOne({ service: { database } }: ArtifactPlan): boolean {
  switch (database?.type) {
    case undefined:
    case 'sqlite':
      return true;
    case 'postgres':
    case 'mysql':
      return database.databases?.length === 1;
    default:
      return false;
  }
}
