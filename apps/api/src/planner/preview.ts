import type { PreviewPlan } from '@tarfleet/contracts';
import type { ArtifactRecord, Database } from '@tarfleet/db';
import type { RunDraft } from '../dispatcher.ts';
import { toJobDraft } from './job-draft.ts';
import { assertRestorable, relock } from './on-backup.ts';
import { type RestoreSubject, resolveRestore } from './resolve-restore.ts';
import type { PlanKeys } from './targets.ts';

export interface PlannedPreview {
  draft: RunDraft;
  plan: PreviewPlan;
  artifacts: ArtifactRecord[];
  /** Ids of the services that a restore would need for itself. */
  needed: string[];
}

/**
 * A look at what a restore would do. It takes no leases, since it changes nothing, and is no restore: it has no row
 * among them.
 */
export async function planPreview(
  deps: { db: Database; keys: PlanKeys },
  request: RestoreSubject,
): Promise<PlannedPreview> {
  const { backup, userId } = request;
  const { fields, artifacts, concerned } = await resolveRestore(deps, request);
  const plan: PreviewPlan = { ...fields, kind: 'preview' };
  const draft: RunDraft = {
    root: toJobDraft(plan, { userId, backupId: backup.id }),
    children: [],
    leases: [],
    async record(tx) {
      assertRestorable(await relock(tx, backup.id));
    },
  };
  return { draft, plan, artifacts, needed: [...new Set([...plan.serviceIds, ...concerned])] };
}
