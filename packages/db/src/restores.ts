import type { Notification } from '@tarfleet/contracts';
import { v7 } from 'uuid';
import { toJson, toJsonOrNull } from './json.ts';
import type { Db } from './prisma-client.ts';
import {
  type AuditStep,
  type RestoreMetadata,
  type RestoreRecord,
  toAuditStep,
  toRestoreRecord,
  withNames,
} from './restore-record.ts';

export type { AuditStep, RestoreMetadata, RestoreRecord, RestoreStatus } from './restore-record.ts';

export type RestoreDraft = Pick<
  RestoreRecord,
  'id' | 'backupId' | 'serverId' | 'userId' | 'restoreType' | 'servicesToRestore'
> & { metadata: RestoreMetadata; notification?: Notification | null };

export type RestoreChange = Partial<
  Pick<
    RestoreRecord,
    | 'status'
    | 'progressPercentage'
    | 'currentStep'
    | 'servicesRestored'
    | 'servicesFailed'
    | 'rollbackPath'
    | 'rollbackExpiresAt'
    | 'rollbackJobId'
    | 'forgetTries'
    | 'errorMessage'
    | 'startedAt'
    | 'completedAt'
  >
> & {
  /** When the way back is to be removed, or the next try at it; null: by nobody. */
  forgetAfter?: Date | null;
};

export interface StepReport {
  number: number;
  name: string;
  /** `started`, or how it ended. */
  status: string;
  message: string;
  details?: Record<string, unknown> | undefined;
  at: Date;
}

export interface Restores {
  create(draft: RestoreDraft): Promise<void>;
  get(id: string): Promise<RestoreRecord | null>;
  /** As `get`, locked until the transaction ends: so its way back is taken once. */
  lock(id: string): Promise<RestoreRecord | null>;
  /** Newest first; of one user, or null for everybody's. */
  list(filter: { userId: string | null; limit: number }): Promise<RestoreRecord[]>;
  /** Those that left something on the server after this time: completed ones, and failed ones that have a way back. */
  leftSince(serverId: string, since: Date): Promise<RestoreRecord[]>;
  /** Those whose way back is to be removed; not of servers that are no longer configured. */
  dueForForget(now: Date, limit: number): Promise<RestoreRecord[]>;
  change(id: string, change: RestoreChange): Promise<void>;
  /** What was made of the project's own records, one sentence each. */
  noteRecords(id: string, notices: readonly string[]): Promise<void>;
  /** A step's start, or its end when one with this number and without an end is there. */
  recordStep(id: string, step: StepReport): Promise<void>;
  /** Ends, as `interrupted`, the steps of an attempt that can end them no more. */
  interruptSteps(id: string, at: Date): Promise<void>;
  steps(id: string): Promise<AuditStep[]>;
  /** How long the last restores of any of these services took that completed, the newest first. */
  pastOf(serviceIds: readonly string[], limit: number): Promise<PastRestore[]>;
}

export interface PastRestore {
  bytes: number;
  /** From its first start to its end. */
  seconds: number;
  /** Of its steps while services were stopped. */
  downSeconds: number;
}

export function createRestores(db: Db): Restores {
  const get = async (id: string): Promise<RestoreRecord | null> => {
    const row = await db.restoreJob.findUnique({ where: { id }, include: withNames });
    return row && toRestoreRecord(row);
  };
  return {
    async create({ metadata, notification, ...draft }) {
      await db.restoreJob.create({
        data: {
          ...draft,
          metadata: toJson(metadata),
          notification: toJsonOrNull(notification),
          status: 'pending',
          progressPercentage: 0,
          currentStep: 'Waiting for a worker',
          servicesRestored: [],
          servicesFailed: [],
        },
        select: { id: true },
      });
    },
    get,
    async lock(id) {
      await db.$queryRaw`SELECT 1 AS locked FROM restore_jobs WHERE id = ${id}::uuid FOR UPDATE`;
      return get(id);
    },
    async list({ userId, limit }) {
      const rows = await db.restoreJob.findMany({
        where: userId === null ? {} : { userId },
        include: withNames,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take: limit,
      });
      return rows.map(toRestoreRecord);
    },
    async leftSince(serverId, since) {
      const rows = await db.restoreJob.findMany({
        where: {
          ...{ serverId, completedAt: { gt: since } },
          OR: [{ status: 'completed' }, { status: 'failed', rollbackPath: { not: null } }],
        },
        include: withNames,
        orderBy: [{ completedAt: 'desc' }, { id: 'desc' }],
      });
      return rows.map(toRestoreRecord);
    },
    async dueForForget(now, take) {
      const rows = await db.restoreJob.findMany({
        where: { forgetAfter: { lte: now }, rollbackPath: { not: null }, serverId: { not: null } },
        include: withNames,
        orderBy: { forgetAfter: 'asc' },
        take,
      });
      return rows.map(toRestoreRecord);
    },
    async change(id, change) {
      await db.restoreJob.update({ where: { id }, data: change, select: { id: true } });
    },
    async noteRecords(id, notices) {
      await db.$executeRaw`
        UPDATE restore_jobs SET metadata = metadata || jsonb_build_object('record_notices', ${JSON.stringify(notices)}::jsonb)
        WHERE id = ${id}::uuid`;
    },
    recordStep: (id, step) => recordStep(db, id, step),
    async interruptSteps(id, at) {
      const open = await db.restoreAuditLog.findMany({ where: { restoreJobId: id, completedAt: null } });
      for (const row of open) {
        await db.restoreAuditLog.update({
          where: { id: row.id },
          data: { status: 'interrupted', completedAt: at, durationMs: since(row.startedAt, at) },
        });
      }
    },
    async steps(id) {
      const rows = await db.restoreAuditLog.findMany({
        where: { restoreJobId: id },
        orderBy: [{ startedAt: 'asc' }, { stepNumber: 'asc' }, { id: 'asc' }],
      });
      return rows.map(toAuditStep);
    },
    async pastOf(serviceIds, limit) {
      return db.$queryRaw<PastRestore[]>`
        SELECT (j.result->>'bytesRestored')::float8 AS bytes,
          extract(epoch FROM j.ended_at - j.started_at)::float8 AS seconds,
          (SELECT coalesce(sum(a.duration_ms), 0)::float8 / 1000 FROM restore_audit_logs a
            WHERE a.restore_job_id = r.id
              AND a.step_name IN ('stop_services', 'restore_data', 'restart_services')) AS "downSeconds"
        FROM restore_jobs r JOIN jobs j ON j.id = r.id
        WHERE j.kind = 'restore' AND j.state = 'completed' AND j.started_at IS NOT NULL
          AND j.result->>'bytesRestored' IS NOT NULL
          AND r.metadata->'service_ids' ?| ${[...serviceIds]}::text[]
        ORDER BY j.ended_at DESC LIMIT ${limit}`;
    },
  };
}

async function recordStep(db: Db, restoreJobId: string, step: StepReport): Promise<void> {
  const { number: stepNumber, name: stepName, status, message, at } = step;
  const details = step.details === undefined ? {} : { details: toJson(step.details) };
  const open = await db.restoreAuditLog.findFirst({
    where: { restoreJobId, stepNumber, stepName, completedAt: null },
    orderBy: { id: 'desc' },
  });
  if (status !== 'started' && open) {
    await db.restoreAuditLog.update({
      where: { id: open.id },
      data: { status, message, ...details, completedAt: at, durationMs: since(open.startedAt, at) },
    });
    return;
  }
  await db.restoreAuditLog.create({
    data: {
      ...{ id: v7(), restoreJobId, stepNumber, stepName, message, startedAt: at, ...details },
      ...(status === 'started' ? { status: 'in_progress' } : { status, completedAt: at, durationMs: 0 }),
    },
  });
}

function since(from: Date | null, at: Date): number {
  return Math.max(0, at.getTime() - (from ?? at).getTime());
}
