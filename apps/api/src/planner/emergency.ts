import type { ArtifactRecord, Database, DestinationRecord, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { RunDraft } from '../dispatcher.ts';
import { type BackupRequest, planBackup } from './backup.ts';
import type { PlanKeys } from './targets.ts';

const DAY_MS = 24 * 3600 * 1000;

export interface EmergencyRequest {
  /** What is to be restored. */
  backup: FullBackup;
  artifacts: readonly ArtifactRecord[];
  userId: string;
  /** Who locks it. */
  userEmail: string;
  requestId: string;
  encrypt: boolean;
  /** For how long nobody deletes it, in days. */
  keepDays: number;
  /** Whether it must hold all that will be restored; else it holds what there still is of that. */
  whole: boolean;
}

export interface Emergency {
  /** Null when nothing of what will be restored is configured any more. */
  draft: RunDraft | null;
  lockedUntil: Date | null;
  warnings: string[];
}

/**
 * The backup of what a restore is about to replace, to where the restored one lies (to the default destination where
 * that is switched off), locked for a while. CONFLICT where it must be whole and one of the services is no longer
 * configured, or both destinations are off.
 */
export async function planEmergency(
  deps: { db: Database; keys: PlanKeys },
  request: EmergencyRequest,
): Promise<Emergency> {
  const { backup, artifacts, keepDays } = request;
  const wanted = artifacts.map(({ serviceId }) => serviceId);
  const there = await deps.db.services.ofProject(backup.projectId, wanted);
  const ids = there.map(({ service }) => service.id).filter((id) => wanted.includes(id));
  const nowBackedUp = new Map(
    there.map(({ service }) => [service.id, [...service.configPaths, ...service.dataPaths]]),
  );
  // A service that is no longer what it was: a path that would be replaced, and that nobody backs up any more.
  const gone = artifacts.filter(({ serviceId, paths }) => {
    const roots = nowBackedUp.get(serviceId);
    return !roots || paths.some((path) => !roots.some((root) => isWithin(path, root)));
  });
  const names = gone.map(({ serviceName }) => serviceName).join(', ');
  if (request.whole && gone.length > 0) {
    throw new AppError(
      'CONFLICT',
      `No emergency backup can be made of all of ${names}: no longer configured, or with other paths. Configure it again, or say by emergency_backup that the restore may go on without (attempt, skip).`,
    );
  }
  const warnings =
    gone.length > 0
      ? [`The emergency backup does not hold all of ${names}: no longer configured, or with other paths.`]
      : [];
  if (ids.length === 0) return { draft: null, lockedUntil: null, warnings };
  const place = await placeFor(deps.db, request);
  if (place.warning !== null) warnings.push(place.warning);
  if (!place.to) return { draft: null, lockedUntil: null, warnings };
  const draft = await planBackup(deps, toBackup(request, ids, place.to));
  const lockedAt = new Date();
  const lockUntil = new Date(lockedAt.getTime() + keepDays * DAY_MS);
  return {
    draft: {
      ...draft,
      async record(tx) {
        await draft.record(tx);
        if (keepDays === 0) return;
        await tx.backups.change(draft.root.id, {
          ...{ lockedAt, lockUntil, lockedBy: request.userEmail },
          lockReason: `What was there before a restore of ${backup.id}`,
        });
      },
    },
    lockedUntil: keepDays === 0 ? null : lockUntil,
    warnings,
  };
}

/** Nowhere, where nothing that is enabled is left and the restore may do without. */
async function placeFor(
  db: Database,
  { backup, whole }: EmergencyRequest,
): Promise<{ to: DestinationRecord | null; warning: string | null }> {
  const main = backup.destinationId === null ? null : await db.destinations.get(backup.destinationId);
  if (main?.enabled) return { to: main, warning: null };
  const other = await db.destinations.getDefault();
  const off = main
    ? `The destination ${main.name} is switched off`
    : 'The backup has no destination any more';
  if (other?.enabled) {
    return { to: other, warning: `${off}: the emergency backup goes to the default one, ${other.name}.` };
  }
  const why = `${off}, and there is no default destination that is enabled`;
  if (!whole) return { to: null, warning: `${why}: no emergency backup is made.` };
  throw new AppError(
    'CONFLICT',
    `No emergency backup can be made: ${why[0]?.toLowerCase()}${why.slice(1)}. Enable one of them, or restore without it: "emergency_backup":"attempt".`,
  );
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`);
}

function toBackup(
  { backup, userId, requestId, encrypt }: EmergencyRequest,
  services: string[],
  to: DestinationRecord,
): BackupRequest {
  return {
    ...{ projectId: backup.projectId, userId, scheduleId: null, requestId, services, encrypt },
    ...{ dialect: 'tacacs', type: 'full', occasion: 'emergency', name: null, components: null },
    description: `Before a restore of ${backup.id}`,
    ...{ serverId: null, destinationId: to.id, retentionDays: null, verify: true },
    ...{ compression: { enabled: true, level: 6 }, deduplicate: false, warnings: [] },
  };
}
