import type { ArtifactPlan } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import type { End } from './end.ts';

/**
 * The services that a backup failed to save, by id, where all of them are not there any more: a service whose every path
 * is missing, or whose one database is; else null. A backup fails with PATH_NOT_FOUND only when each of its services has.
 * They may be there again by the time that they are replaced, or something else where an older backup has more places.
 */
export async function servicesNotThere(
  tx: Pick<Repositories, 'jobs'>,
  job: Pick<JobRecord, 'id' | 'kind'>,
  { state, result, failure }: End,
): Promise<string[] | null> {
  if (job.kind !== 'backup') return null;
  const failed = state === 'partial' && result?.kind === 'backup' ? result.failed : null;
  const codes = failed ? failed.map((one) => one.failure.code) : [failure?.code];
  if (codes.length === 0 || codes.some((code) => code !== 'PATH_NOT_FOUND')) return null;
  const children = await tx.jobs.children(job.id);
  const plans = children
    .filter(({ id }) => !failed || failed.some(({ artifactId }) => artifactId === id))
    .map(({ plan }) => JSON.parse(plan) as ArtifactPlan);
  return plans.length > 0 && plans.every(isGoneAsOne) ? plans.map(({ service }) => service.id) : null;
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
