import { PLAN_VERSION, type SurveyPlan } from '@tarfleet/contracts';
import type { Database, DestinationRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { toJobDraft } from './job-draft.ts';
import { type PlanKeys, poolKey, toDestinationTarget } from './targets.ts';

/** Of destinations without any backup. */
const FIRST_POOL = 'default';

export interface SurveyRequest {
  destination: DestinationRecord;
  userId: string | null;
  requestId: string;
  /** What was written within so many milliseconds is nobody's business yet. */
  graceMs: number;
  /** Only when none began after that. */
  before?: Date;
}

/**
 * Plans a look through all that lies in a destination, by the pool that made the newest backup there. CONFLICT on
 * acceptance while another one runs.
 */
export async function planSurvey(
  { db, keys }: { db: Database; keys: PlanKeys },
  { destination, userId, requestId, graceMs, before }: SurveyRequest,
): Promise<RunDraft> {
  const pool = (await db.surveys.poolOf(destination.id)) ?? FIRST_POOL;
  poolKey(keys, pool);
  const project = await db.projects.ensureDefault();
  const plan: SurveyPlan = {
    ...{ v: PLAN_VERSION, jobId: uuidv7(), pool, projectId: project.id, requestId, graceMs },
    ...{ issuedAt: new Date().toISOString(), kind: 'survey' },
    destination: await toDestinationTarget(keys, destination, pool),
  };
  return {
    root: toJobDraft(plan, { userId, backupId: null }),
    children: [],
    leases: [],
    async record(tx) {
      if (await tx.surveys.begin(destination.id, plan.jobId, before)) return;
      const running = await tx.surveys.get(destination.id);
      throw new AppError(
        'CONFLICT',
        'This destination is being looked through already. Wait until that has ended.',
        {
          details: { job_id: running?.jobId ?? null },
        },
      );
    },
  };
}
