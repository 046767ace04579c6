import type { ArtifactPlan, BackupType, ParentArtifact, ServiceTarget } from '@tarfleet/contracts';
import type { Database, ParentRecord, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

/** A chain of backups is begun anew after so long: what it hangs on must not be old for ever. */
const CHAIN_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

export interface ChosenParent {
  plan: ParentArtifact;
  chainBegunAt: Date;
  /** The parent and whatever that needs itself. */
  needs: { artifactId: string; backupId: string }[];
}

export interface ParentQuery {
  type: BackupType;
  projectId: number;
  destinationId: string;
  service: ServiceTarget;
  encryption: ArtifactPlan['encryption'];
  warn(message: string): void;
}

/**
 * What a service's new artifact is compared with: the newest backup of the same paths in the same destination that
 * has not failed a verification; for a differential one, the newest that read everything. Null reads everything.
 */
export async function chooseParent(
  db: Pick<Database, 'artifacts'>,
  { type, projectId, destinationId, service, encryption, warn }: ParentQuery,
): Promise<ChosenParent | null> {
  if (type === 'full') return null;
  if (service.type !== 'files') {
    warn(
      `${service.name}: everything is read, for a ${type} backup of a database of the type ${service.type} does not exist.`,
    );
    return null;
  }
  const found = await db.artifacts.findParent({
    ...{ projectId, destinationId, serviceId: service.id, exclude: service.exclude },
    paths: [...service.configPaths, ...service.dataPaths],
    encrypted: encryption !== null,
    full: type === 'differential',
  });
  if (!found) {
    warn(`${service.name}: everything is read, for there is no backup of the same paths to compare with.`);
    return null;
  }
  if (found.chainBegunAt.getTime() < Date.now() - CHAIN_DAYS * DAY_MS) {
    warn(`${service.name}: everything is read, for the last time that was done is ${CHAIN_DAYS} days ago.`);
    return null;
  }
  const { chainBegunAt, ...ids } = found;
  const needs = [toRef(found), ...(await db.artifacts.ancestorsOf(found.artifactId))];
  return { plan: ids, chainBegunAt, needs };
}

/** In the transaction that stores the new backup: its ancestors stay as long as it does, or CONFLICT. */
export async function referToParents(
  tx: Repositories,
  chosen: ReadonlyMap<string, ChosenParent>,
): Promise<void> {
  const backups = new Set([...chosen.values()].flatMap(({ needs }) => needs.map(({ backupId }) => backupId)));
  const parents = new Set([...chosen.values()].map(({ plan }) => plan.backupId));
  // In one order everywhere: two that need the same never wait for each other.
  for (const id of [...backups].sort()) {
    const backup = await tx.backups.lock(id);
    const usable = parents.has(id) ? USABLE : [...USABLE, 'hidden'];
    if (backup && usable.includes(backup.status)) continue;
    throw new AppError(
      'CONFLICT',
      'The backup to compare with was deleted at this moment. Send the request again.',
    );
  }
  for (const [artifactId, { needs }] of chosen) {
    await tx.artifacts.refer(
      artifactId,
      needs.map((one) => one.artifactId),
    );
  }
}

const USABLE = ['completed', 'partial'];

function toRef({ artifactId, backupId }: ParentRecord): { artifactId: string; backupId: string } {
  return { artifactId, backupId };
}
