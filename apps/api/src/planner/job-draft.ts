import type { Plan } from '@tarfleet/contracts';
import type { JobDraft } from '@tarfleet/db';

export interface JobOrigin {
  userId: string | null;
  /** Null: the job needs nothing of a backup. */
  backupId: string | null;
  /** Of an artifact: the job of its backup. */
  parentId?: string;
}

/** The row of a plan's job. */
export function toJobDraft(plan: Plan, { userId, backupId, parentId }: JobOrigin): JobDraft {
  const { jobId, kind, pool, projectId, requestId } = plan;
  return {
    ...{ id: jobId, kind, pool, projectId, userId, backupId, parentId: parentId ?? null, requestId },
    plan: JSON.stringify(plan),
  };
}
