import type { Prisma, RestoreAuditLog, RestoreJob } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export const RESTORE_STATUSES = [
  'pending',
  'preparing',
  'stopping_services',
  'verifying',
  'restoring',
  'restarting_services',
  'completed',
  'failed',
  'rolled_back',
] as const;
export type RestoreStatus = (typeof RESTORE_STATUSES)[number];

export interface RestoreRecord {
  /** Its job's id too. */
  id: string;
  backupId: string;
  serverId: string | null;
  userId: string | null;
  restoreType: 'full' | 'selective';
  status: RestoreStatus;
  progressPercentage: number;
  currentStep: string;
  servicesToRestore: string[];
  servicesRestored: string[];
  servicesFailed: string[];
  rollbackPath: string | null;
  errorMessage: string | null;
  startedAt: Date | null;
  completedAt: Date | null;
  createdAt: Date;
  serverName: string | null;
  serverHost: string | null;
  backupType: string;
  projectId: number;
}

export type RestoreDraft = Pick<
  RestoreRecord,
  'id' | 'backupId' | 'serverId' | 'userId' | 'restoreType' | 'servicesToRestore'
> & { id: string; metadata: Record<string, string | number | boolean | null> };

export type RestoreChange = Partial<
  Pick<
    RestoreRecord,
    | 'status'
    | 'progressPercentage'
    | 'currentStep'
    | 'servicesRestored'
    | 'servicesFailed'
    | 'errorMessage'
    | 'startedAt'
    | 'completedAt'
  >
>;

export interface AuditStep {
  stepNumber: number;
  stepName: string;
  status: string;
  message: string;
  startedAt: Date | null;
  completedAt: Date | null;
  durationMs: number | null;
}

export interface Restores {
  create(draft: RestoreDraft): Promise<void>;
  get(id: string): Promise<RestoreRecord | null>;
  /** Newest first; of one user, or null for everybody's. */
  list(filter: { userId: string | null; limit: number }): Promise<RestoreRecord[]>;
  change(id: string, change: RestoreChange): Promise<void>;
  /** A step's start, or its end when one with this number and without an end is there. */
  recordStep(
    id: string,
    step: { logId: string; number: number; name: string; status: string; message: string; at: Date },
  ): Promise<void>;
  steps(id: string): Promise<AuditStep[]>;
}

const withNames = {
  server: { select: { name: true, host: true } },
  backup: { select: { type: true, projectId: true } },
} satisfies Prisma.RestoreJobInclude;
type Row = Prisma.RestoreJobGetPayload<{ include: typeof withNames }>;

export function createRestores(db: Db): Restores {
  return {
    async create(draft) {
      await db.restoreJob.create({
        data: {
          ...draft,
          status: 'pending',
          progressPercentage: 0,
          currentStep: 'Waiting for a worker',
          servicesRestored: [],
          servicesFailed: [],
        },
        select: { id: true },
      });
    },
    async get(id) {
      const row = await db.restoreJob.findUnique({ where: { id }, include: withNames });
      return row && toRecord(row);
    },
    async list({ userId, limit }) {
      const rows = await db.restoreJob.findMany({
        where: userId === null ? {} : { userId },
        include: withNames,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take: limit,
      });
      return rows.map(toRecord);
    },
    async change(id, change) {
      await db.restoreJob.update({ where: { id }, data: change, select: { id: true } });
    },
    async recordStep(id, step) {
      const open = await db.restoreAuditLog.findFirst({
        where: { restoreJobId: id, stepNumber: step.number, stepName: step.name, completedAt: null },
        orderBy: { id: 'desc' },
      });
      if (step.status === 'started' || !open) {
        await db.restoreAuditLog.create({
          data: {
            id: step.logId,
            restoreJobId: id,
            stepNumber: step.number,
            stepName: step.name,
            status: step.status === 'started' ? 'in_progress' : step.status,
            message: step.message,
            startedAt: step.at,
            ...(step.status === 'started' ? {} : { completedAt: step.at, durationMs: 0 }),
          },
        });
        return;
      }
      const durationMs = step.at.getTime() - (open.startedAt ?? step.at).getTime();
      await db.restoreAuditLog.update({
        where: { id: open.id },
        data: { status: step.status, message: step.message, completedAt: step.at, durationMs },
      });
    },
    async steps(id) {
      const rows = await db.restoreAuditLog.findMany({
        where: { restoreJobId: id },
        orderBy: [{ startedAt: 'asc' }, { stepNumber: 'asc' }],
      });
      return rows.map(toStep);
    },
  };
}

function toRecord({ server, backup, ...row }: Row): RestoreRecord {
  return {
    ...toOwn(row),
    serverName: server?.name ?? null,
    serverHost: server?.host ?? null,
    backupType: backup?.type ?? 'full',
    projectId: backup?.projectId ?? 0,
  };
}

function toOwn(row: RestoreJob) {
  return {
    id: row.id,
    backupId: row.backupId ?? '',
    serverId: row.serverId,
    userId: row.userId,
    restoreType: row.restoreType === 'selective' ? ('selective' as const) : ('full' as const),
    status: row.status as RestoreStatus,
    progressPercentage: row.progressPercentage ?? 0,
    currentStep: row.currentStep ?? '',
    servicesToRestore: row.servicesToRestore,
    servicesRestored: row.servicesRestored,
    servicesFailed: row.servicesFailed,
    rollbackPath: row.rollbackPath,
    errorMessage: row.errorMessage,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    createdAt: row.createdAt ?? new Date(0),
  };
}

function toStep(row: RestoreAuditLog): AuditStep {
  return {
    stepNumber: row.stepNumber ?? 0,
    stepName: row.stepName ?? '',
    status: row.status ?? '',
    message: row.message ?? '',
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    durationMs: row.durationMs,
  };
}
