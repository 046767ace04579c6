import type { ArtifactRecord, Database, FullBackup } from '@tarfleet/db';
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
 * The backup of what a restore is about to replace, to where the restored one lies, locked for a while. CONFLICT where
 * it must be whole and one of the services is no longer configured.
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
  const draft = await planBackup(deps, toBackup(request, ids));
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

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`);
}

function toBackup(
  { backup, userId, requestId, encrypt }: EmergencyRequest,
  services: string[],
): BackupRequest {
  return {
    ...{ projectId: backup.projectId, userId, scheduleId: null, requestId, services, encrypt },
    ...{ dialect: 'tacacs', type: 'full', occasion: 'emergency', name: null, components: null },
    description: `Before a restore of ${backup.id}`,
    ...{ serverId: null, destinationId: backup.destinationId, retentionDays: null, verify: true },
    ...{ compression: { enabled: true, level: 6 }, deduplicate: false, warnings: [] },
  };
}
