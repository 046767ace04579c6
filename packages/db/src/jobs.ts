import type { Failure, JobKind, JobResult, Progress } from '@tarfleet/contracts';
import type { Prisma } from './generated/client.ts';
import { type JobRecord, type LockedJob, toJobRecord } from './job-record.ts';
import type { Db } from './prisma-client.ts';

export type { JobRecord, JobState } from './job-record.ts';

export type JobDraft = Pick<
  JobRecord,
  'id' | 'kind' | 'pool' | 'projectId' | 'userId' | 'backupId' | 'parentId' | 'requestId' | 'plan'
> &
  Partial<Pick<JobRecord, 'afterId' | 'afterAnyEnd'>>;

/** What the recorder changes as events have their effect. */
export type JobChange = Partial<
  Pick<JobRecord, 'plan' | 'state' | 'attempt' | 'token' | 'lastSeq' | 'worker' | 'startedAt' | 'endedAt'>
> & { result?: JobResult | null; failure?: Failure | null };

export interface Jobs {
  create(drafts: JobDraft[]): Promise<void>;
  get(id: string): Promise<JobRecord | null>;
  /** A flow's artifacts, or none. */
  children(parentId: string): Promise<JobRecord[]>;
  /** Those that have not ended and wait for this one's end. */
  followers(id: string): Promise<JobRecord[]>;
  /** Locks the job, after its parent where it has one, until the transaction ends; so a flow's events get their ids in the order of commit. */
  lock(id: string): Promise<JobRecord | null>;
  change(id: string, change: JobChange): Promise<void>;
  /** True when this report is newer than what is stored and the job has not ended. */
  saveProgress(id: string, progress: Progress): Promise<boolean>;
  /** Null when the job has ended. One that waits to be sent again is due at once: it is for a worker to undo it. */
  requestCancel(id: string, reason: string): Promise<JobRecord | null>;
  markDispatched(ids: string[]): Promise<void>;
  /** Sends it again under the next generation, after a pause in milliseconds where one is given. */
  markLost(ids: string[], pauseMs?: number): Promise<void>;
  markChecked(ids: string[]): Promise<void>;
  markRemovedFromQueue(ids: string[]): Promise<void>;
  /** Accepted but not yet in the queue, due, and waiting for no other job; whole flows by their parent. Oldest first. */
  undispatched(before: Date, limit: number): Promise<JobRecord[]>;
  /** In the queue and not ended, without a look at the queue since then; whole flows by their parent. */
  unchecked(before: Date, limit: number): Promise<JobRecord[]>;
  /** Of a kind, and never begun by a worker, although they were accepted before. Oldest first. */
  unbegun(kind: JobKind, before: Date, limit: number): Promise<JobRecord[]>;
  /** Ended, and perhaps still in the queue. */
  toRemoveFromQueue(before: Date, limit: number): Promise<JobRecord[]>;
  /** Jobs on a backup that have not ended. */
  unfinishedOf(backupId: string): Promise<JobRecord[]>;
  /** Verifications of a backup that came to a result, newest first. */
  verificationsOf(backupId: string, limit: number): Promise<JobRecord[]>;
  /** Ended and unended jobs by kind and state since a time, with their seconds. */
  statistics(since: Date): Promise<JobStatistic[]>;
}

export interface JobStatistic {
  kind: string;
  state: string;
  count: number;
}

const UNENDED = { endedAt: null } as const;

export function createJobs(db: Db): Jobs {
  return {
    async create(drafts) {
      await db.job.createMany({ data: drafts });
    },
    async get(id) {
      const row = await db.job.findUnique({ where: { id } });
      return row && toJobRecord(row);
    },
    async children(parentId) {
      const rows = await db.job.findMany({ where: { parentId }, orderBy: { id: 'asc' } });
      return rows.map(toJobRecord);
    },
    async followers(afterId) {
      const rows = await db.job.findMany({ where: { afterId, ...UNENDED }, orderBy: { id: 'asc' } });
      return rows.map(toJobRecord);
    },
    async lock(id) {
      // The row as it is once it is locked: Postgres reads it again after a wait.
      const rows = await db.$queryRaw<LockedJob[]>`
        SELECT id, kind, pool, project_id AS "projectId", user_id AS "userId", backup_id AS "backupId",
          parent_id AS "parentId", request_id AS "requestId", after_id AS "afterId",
          after_any_end AS "afterAnyEnd", state, plan, generation,
          dispatched_at AS "dispatchedAt", attempt, token, last_seq AS "lastSeq", progress, result,
          error_code AS "errorCode", error_message AS "errorMessage", error_retryable AS "errorRetryable",
          cancel_requested_at AS "cancelRequestedAt", cancel_reason AS "cancelReason", worker,
          created_at AS "createdAt", started_at AS "startedAt", ended_at AS "endedAt"
        FROM jobs WHERE id IN (${id}::uuid, (SELECT parent_id FROM jobs WHERE id = ${id}::uuid))
        ORDER BY parent_id NULLS FIRST FOR UPDATE`;
      const row = rows.find((one) => one.id === id);
      return row ? toJobRecord(row) : null;
    },
    async change(id, { result, failure, ...change }) {
      await db.job.update({
        where: { id },
        data: {
          ...change,
          ...(result === undefined ? {} : { result: result as unknown as Prisma.InputJsonValue }),
          ...(failure
            ? { errorCode: failure.code, errorMessage: failure.message, errorRetryable: failure.retryable }
            : {}),
        },
        select: { id: true },
      });
    },
    async saveProgress(id, progress) {
      const { attempt, n } = progress;
      const changed = await db.$executeRaw`
        UPDATE jobs SET progress = ${JSON.stringify(progress)}::jsonb, progress_attempt = ${attempt}, progress_n = ${n}
        WHERE id = ${id}::uuid AND ended_at IS NULL AND attempt <= ${attempt}
          AND (progress_attempt, progress_n) < (${attempt}, ${n})`;
      return changed > 0;
    },
    async requestCancel(id, reason) {
      const { count } = await db.job.updateMany({
        where: { id, ...UNENDED },
        data: { cancelRequestedAt: new Date(), cancelReason: reason, sendAfter: null },
      });
      if (count === 0) return null;
      const row = await db.job.findUnique({ where: { id } });
      return row && toJobRecord(row);
    },
    async markDispatched(ids) {
      await db.job.updateMany({ where: { id: { in: ids } }, data: { dispatchedAt: new Date() } });
    },
    async markLost(ids, pauseMs = 0) {
      const sendAfter = pauseMs === 0 ? null : new Date(Date.now() + pauseMs);
      await db.job.updateMany({
        where: { id: { in: ids }, ...UNENDED },
        data: { generation: { increment: 1 }, dispatchedAt: null, lastCheckedAt: null, sendAfter },
      });
    },
    async markChecked(ids) {
      await db.job.updateMany({ where: { id: { in: ids } }, data: { lastCheckedAt: new Date() } });
    },
    async markRemovedFromQueue(ids) {
      await db.job.updateMany({ where: { id: { in: ids } }, data: { removedFromQueueAt: new Date() } });
    },
    async undispatched(before, take) {
      const rows = await db.job.findMany({
        where: {
          ...{ ...UNENDED, dispatchedAt: null, parentId: null, createdAt: { lt: before } },
          AND: [
            { OR: [{ sendAfter: null }, { sendAfter: { lte: new Date() } }] },
            { OR: [{ afterId: null }, { after: { endedAt: { not: null } } }] },
          ],
        },
        orderBy: { createdAt: 'asc' },
        take,
      });
      return rows.map(toJobRecord);
    },
    async unchecked(before, take) {
      const rows = await db.job.findMany({
        where: {
          ...UNENDED,
          parentId: null,
          dispatchedAt: { lt: before },
          OR: [{ lastCheckedAt: null }, { lastCheckedAt: { lt: before } }],
        },
        orderBy: { createdAt: 'asc' },
        take,
      });
      return rows.map(toJobRecord);
    },
    async unbegun(kind, before, take) {
      const rows = await db.job.findMany({
        where: { kind, state: 'queued', attempt: 0, ...UNENDED, createdAt: { lt: before } },
        orderBy: { createdAt: 'asc' },
        take,
      });
      return rows.map(toJobRecord);
    },
    async toRemoveFromQueue(before, take) {
      const rows = await db.job.findMany({
        where: { parentId: null, removedFromQueueAt: null, endedAt: { lt: before } },
        orderBy: { endedAt: 'asc' },
        take,
      });
      return rows.map(toJobRecord);
    },
    async unfinishedOf(backupId) {
      const rows = await db.job.findMany({ where: { backupId, ...UNENDED }, orderBy: { id: 'asc' } });
      return rows.map(toJobRecord);
    },
    async verificationsOf(backupId, take) {
      const rows = await db.job.findMany({
        where: { backupId, kind: 'verify', state: 'completed' },
        orderBy: [{ endedAt: 'desc' }, { id: 'desc' }],
        take,
      });
      return rows.map(toJobRecord);
    },
    async statistics(since) {
      const rows = await db.job.groupBy({
        by: ['kind', 'state'],
        where: { OR: [UNENDED, { endedAt: { gte: since } }] },
        _count: true,
      });
      return rows.map(({ kind, state, _count }) => ({ kind, state, count: _count }));
    },
  };
}
