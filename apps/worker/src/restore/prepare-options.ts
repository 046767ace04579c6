import type { PreviewPlan, RestorePlan, ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { DestinationPlace, PrepareOptions, RestoreContext } from '@tarfleet/sources';
import type { OpenArtifact } from './open-artifacts.ts';

/** What a source is told of one artifact that is to be put back. RESTORE_FAILED when that would lose something. */
export function prepareOptions(
  plan: RestorePlan | PreviewPlan,
  { artifact, opener }: OpenArtifact,
  context: RestoreContext,
  destinations: readonly DestinationPlace[],
): Omit<PrepareOptions, 'openTar' | 'onEntry' | 'claim' | 'claimed'> {
  const { id, name, type, component } = artifact.service;
  const unsaved = plan.kind === 'restore' && (plan.unsaved?.includes(id) ?? false);
  const target = plan.databases?.find((one) => one.serviceId === id)?.target;
  const service: ServiceTarget = {
    ...{ id, name, type, component, exclude: artifact.exclude },
    ...(target ? { database: target } : {}),
    configPaths: [],
    dataPaths: artifact.roots,
  };
  return {
    ...context,
    service,
    ...databaseOf(plan, artifact, unsaved),
    jobId: `${plan.jobId}-${artifact.artifactId.slice(-12)}`,
    roots: opener.roots,
    extras: opener.extras,
    needs: opener.needs,
    restorePath: plan.restorePath,
    overwrite: plan.overwrite,
    unsaved,
    keep: [...plan.keep.map((path) => Buffer.from(path)), ...unreadableOf(plan, artifact, opener)],
    destinations,
  };
}

/** What a database's backup says of itself. NOT_SUPPORTED where it says nothing, or the plan does not say where it goes. */
function databaseOf(
  { dropExisting = false, databases = [] }: Pick<RestorePlan, 'databases' | 'dropExisting'>,
  { service, database: facts }: OpenArtifact['artifact'],
  unsaved: boolean,
): Pick<PrepareOptions, 'database'> {
  if (service.type === 'files') return {};
  const target = databases.find((one) => one.serviceId === service.id)?.target;
  if (facts && target?.type === service.type) {
    return { database: { facts, dropExisting: dropExisting && !unsaved, unsaved } };
  }
  throw new AppError(
    'NOT_SUPPORTED',
    `${service.name}: where its database is to be restored to is not known.`,
  );
}

/** What the backup could not read is on the server alone: it must not make way for what the backup holds. */
function unreadableOf(
  { overwrite }: Pick<RestorePlan, 'overwrite'>,
  { service }: OpenArtifact['artifact'],
  { unreadable }: OpenArtifact['opener'],
): Buffer[] {
  if (unreadable !== null || !overwrite) return unreadable ?? [];
  throw new AppError(
    'RESTORE_FAILED',
    `The backup of ${service.name} could not read more paths than it names: to replace everything would lose them. Restore to another folder, or without overwriting.`,
  );
}
