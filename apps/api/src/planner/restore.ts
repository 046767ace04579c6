import type { Notification, RestorePlan } from '@tarfleet/contracts';
import type { Database } from '@tarfleet/db';
import type { RunDraft } from '../dispatcher.ts';
import { toJobDraft } from './job-draft.ts';
import { assertRestorable, relock } from './on-backup.ts';
import { type RestoreSubject, resolveRestore } from './resolve-restore.ts';
import type { PlanKeys } from './targets.ts';

export interface RestoreRequest extends RestoreSubject {
  /** Whether a failure puts everything back as it was. */
  rollback: boolean;
  /** How long the way back is kept after the restore, in hours; without `rollback` only after a failure. */
  keepHours: number;
  /** What becomes of the project's own records that the backup holds, and in which project; left out, nothing. */
  records?: RestorePlan['records'];
  /** Who is to be told of its end, beside the project's webhooks. */
  notification?: Notification | null;
}

export async function planRestore(
  deps: { db: Database; keys: PlanKeys },
  request: RestoreRequest,
): Promise<RunDraft> {
  const { backup, rollback, keepHours, records } = request;
  const { fields, artifacts, server, targets, concerned } = await resolveRestore(deps, request);
  const plan: RestorePlan = {
    ...{ ...fields, kind: 'restore', rollback, keepHours },
    ...(records ? { records } : {}),
  };
  const { serviceIds } = plan;
  return {
    root: toJobDraft(plan, { userId: request.userId, backupId: backup.id }),
    children: [],
    leases: [...new Set([...serviceIds, ...concerned])],
    async record(tx) {
      assertRestorable(await relock(tx, backup.id));
      await tx.restores.create({
        id: plan.jobId,
        backupId: backup.id,
        serverId: server.id,
        userId: request.userId,
        restoreType: request.services === null && request.paths === null ? 'full' : 'selective',
        notification: request.notification ?? null,
        servicesToRestore: artifacts.map((artifact) => artifact.serviceName),
        metadata: {
          restore_path: request.restorePath,
          overwrite: request.overwrite,
          ...(request.paths ? { paths: request.paths.join('\n') } : {}),
          target_paths: targets,
          service_ids: serviceIds,
        },
      });
    },
  };
}
