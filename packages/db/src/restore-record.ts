import type { Notification } from '@tarfleet/contracts';
import type { Prisma, RestoreAuditLog, RestoreJob } from './generated/client.ts';

/** Document 1's. */
export type RestoreStatus =
  | 'pending'
  | 'preparing'
  | 'stopping_services'
  | 'verifying'
  | 'restoring'
  | 'restarting_services'
  | 'completed'
  | 'failed'
  | 'rolled_back';

export interface RestoreRecord {
  /** Its job's id too. */
  id: string;
  backupId: string;
  /** The server that was restored to. */
  serverId: string | null;
  userId: string | null;
  restoreType: 'full' | 'selective';
  status: RestoreStatus;
  progressPercentage: number;
  currentStep: string;
  servicesToRestore: string[];
  servicesRestored: string[];
  servicesFailed: string[];
  /** The folder on the server that holds the way back; null when there is none. */
  rollbackPath: string | null;
  /** From then on the way back may be removed; null: it is kept until somebody takes it. */
  rollbackExpiresAt: Date | null;
  /** The last job that was to take the way back, or to remove it. */
  rollbackJobId: string | null;
  /** How often its removal has failed. */
  forgetTries: number;
  errorMessage: string | null;
  startedAt: Date | null;
  completedAt: Date | null;
  createdAt: Date;
  serverName: string | null;
  serverHost: string | null;
  serverProjectId: number | null;
  backupType: string;
  /** The backup's project. */
  projectId: number;
  /** What was put in place: files and folders of the server. */
  targetPaths: string[];
  /** The services whose archives were restored. */
  serviceIds: string[];
  /** What was made of the project's own records. */
  recordNotices: string[];
  /** Who is to be told of its end, beside the project's webhooks. */
  notification: Notification | null;
}

/** Kept with the restore for those who look later; `target_paths` and `service_ids` are read again. */
export interface RestoreMetadata {
  restore_path: string | null;
  overwrite: boolean;
  paths?: string;
  target_paths: string[];
  service_ids: string[];
  record_notices?: string[];
}

export interface AuditStep {
  stepNumber: number;
  stepName: string;
  status: string;
  message: string;
  details: Record<string, unknown> | null;
  startedAt: Date | null;
  completedAt: Date | null;
  durationMs: number | null;
}

/** @internal what a record is made of besides its own row. */
export const withNames = {
  server: { select: { name: true, host: true, projectId: true } },
  backup: { select: { type: true, projectId: true } },
} satisfies Prisma.RestoreJobInclude;

/** @internal */
export function toRestoreRecord({
  server,
  backup,
  ...row
}: Prisma.RestoreJobGetPayload<{ include: typeof withNames }>): RestoreRecord {
  return {
    ...toOwn(row),
    serverName: server?.name ?? null,
    serverHost: server?.host ?? null,
    serverProjectId: server?.projectId ?? null,
    backupType: backup?.type ?? 'full',
    projectId: backup?.projectId ?? 0,
  };
}

function toOwn(row: RestoreJob) {
  const metadata = row.metadata as Partial<RestoreMetadata> | null;
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
    rollbackExpiresAt: row.rollbackExpiresAt,
    rollbackJobId: row.rollbackJobId,
    forgetTries: row.forgetTries,
    errorMessage: row.errorMessage,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    createdAt: row.createdAt ?? new Date(0),
    targetPaths: metadata?.target_paths ?? [],
    serviceIds: metadata?.service_ids ?? [],
    recordNotices: metadata?.record_notices ?? [],
    notification: row.notification as Notification | null,
  };
}

/** @internal */
export function toAuditStep(row: RestoreAuditLog): AuditStep {
  return {
    stepNumber: row.stepNumber ?? 0,
    stepName: row.stepName ?? '',
    status: row.status ?? '',
    message: row.message ?? '',
    details: row.details as AuditStep['details'],
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    durationMs: row.durationMs,
  };
}
