import type { Notification, NotificationEvent } from '@tarfleet/contracts';
import type {
  BackupStatus,
  DeliveryDraft,
  JobRecord,
  Repositories,
  ScheduleRecord,
  ScheduleRunRecord,
} from '@tarfleet/db';
import type { End } from '../recorder/end.ts';
import { plainHost } from './address-guard.ts';
import {
  backupPayload,
  durationOf,
  notBegunPayload,
  type Payload,
  restorePayload,
  verifiedPayload,
} from './payload.ts';

/**
 * What is to be told of a job, stored in the transaction that stores what happened: whatever becomes of this process,
 * either both are there or neither is. The job's row is locked by the caller, and is as it was before.
 */
type Tx = Pick<Repositories, 'backups' | 'restores' | 'webhooks' | 'deliveries'>;

interface Happened {
  event: NotificationEvent;
  projectId: number;
  jobId: string;
  backupId: string | null;
  payload: Payload;
  /** What is told of once; left out, the job. */
  about?: string;
}

/** A worker has begun the job for the first time: a backup begins with the first of its artifacts. */
export async function tellStarted(tx: Tx, job: JobRecord, at: Date): Promise<void> {
  if (job.startedAt !== null) return;
  const { projectId, backupId } = job;
  if (job.kind === 'artifact' && backupId !== null) {
    const event = 'backup.started';
    const webhooks = await tx.webhooks.subscribed(projectId, event);
    const backup = webhooks.length > 0 ? await tx.backups.find(backupId) : null;
    if (!backup) return;
    const payload = backupPayload(event, backup, at);
    await tell(tx, { event, projectId, jobId: backupId, backupId, payload }, webhooks);
  }
  if (job.kind === 'restore') {
    const event = 'restore.started';
    const webhooks = await tx.webhooks.subscribed(projectId, event);
    const restore = webhooks.length > 0 ? await tx.restores.get(job.id) : null;
    if (!restore) return;
    const payload = restorePayload(event, restore, at, null);
    await tell(tx, { event, projectId, jobId: job.id, backupId, payload }, webhooks);
  }
}

/** The job has ended, and its records say so already. */
export async function tellEnded(tx: Tx, job: JobRecord, end: End): Promise<void> {
  if (job.kind === 'backup') await tellBackup(tx, job, end);
  if (job.kind === 'verify') await tellVerified(tx, job, end);
  if (job.kind === 'restore') await tellRestore(tx, job, end);
}

/** Copies of these backups have failed, by this job's end: the backups are there, and less safe than was asked for. */
export async function tellCopiesFailed(
  tx: Tx,
  { id: jobId, projectId }: Pick<JobRecord, 'id' | 'projectId'>,
  backupIds: readonly string[],
  at: Date,
): Promise<void> {
  const event = 'backup.failed';
  for (const backupId of backupIds) {
    const backup = await tx.backups.get(backupId);
    if (backup?.status !== 'partial') continue;
    const webhooks = await tx.webhooks.subscribed(projectId, event);
    const payload = backupPayload(event, backup, at);
    const happened = { event, projectId, jobId, backupId, payload } as const;
    await tell(
      tx,
      { ...happened, about: `${jobId} ${backupId}` },
      webhooks,
      asked(backup.notification, false),
    );
  }
}

/** A schedule was due, and no backup came of it: nothing else would say so. */
export async function tellNotBegun(tx: Tx, schedule: ScheduleRecord, run: ScheduleRunRecord): Promise<void> {
  const event = 'backup.failed';
  const { projectId, notification } = schedule;
  const webhooks = await tx.webhooks.subscribed(projectId, event);
  const payload = notBegunPayload(schedule, run);
  const happened = { event, projectId, jobId: run.id, backupId: null, payload } as const;
  await tell(tx, happened, webhooks, asked(notification, false));
}

/** One that is not whole is a failure to whoever relies on it; `status` says which. */
const WELL: readonly BackupStatus[] = ['completed'];

async function tellBackup(tx: Tx, job: JobRecord, end: End): Promise<void> {
  const backup = await tx.backups.get(job.id);
  if (!backup) return;
  const { projectId } = job;
  const about = { projectId, jobId: job.id, backupId: job.id };
  const well = WELL.includes(backup.status);
  const event = well ? 'backup.completed' : 'backup.failed';
  const payload = backupPayload(event, backup, end.at);
  const webhooks = await tx.webhooks.subscribed(projectId, event);
  await tell(tx, { ...about, event, payload }, webhooks, asked(backup.notification, well));
  if (end.result?.kind !== 'backup' || end.result.verifiedAt === null) return;
  // It was verified as part of its making; what was found damaged then is not part of it.
  const issues = end.result.failed
    .filter(({ failure }) => failure.code === 'BACKUP_VERIFICATION_FAILED')
    .map(({ serviceName, failure }) => `${serviceName}: ${failure.message}`);
  const verified = verifiedPayload(backup, end.at, {
    ...{ jobId: job.id, durationSeconds: null, failure: null },
    result: { valid: issues.length === 0, level: 'quick', issues },
  });
  const others = await tx.webhooks.subscribed(projectId, 'backup.verified');
  await tell(tx, { ...about, event: 'backup.verified', payload: verified }, others);
}

async function tellVerified(tx: Tx, job: JobRecord, end: End): Promise<void> {
  const event = 'backup.verified';
  const { projectId, backupId, id: jobId } = job;
  const webhooks = await tx.webhooks.subscribed(projectId, event);
  const backup = backupId !== null && webhooks.length > 0 ? await tx.backups.find(backupId) : null;
  if (!backup) return;
  const payload = verifiedPayload(backup, end.at, {
    ...{ jobId, durationSeconds: durationOf(job, end.at), failure: end.failure },
    result: end.result?.kind === 'verify' ? end.result : null,
  });
  await tell(tx, { event, projectId, jobId, backupId, payload }, webhooks);
}

async function tellRestore(tx: Tx, job: JobRecord, end: End): Promise<void> {
  const restore = await tx.restores.get(job.id);
  if (!restore) return;
  const { projectId, backupId, id: jobId } = job;
  const well = restore.status === 'completed';
  const event = well ? 'restore.completed' : 'restore.failed';
  const payload = restorePayload(event, restore, end.at, end);
  const webhooks = await tx.webhooks.subscribed(projectId, event);
  const happened = { event, projectId, jobId, backupId, payload } as const;
  await tell(tx, happened, webhooks, asked(restore.notification, well));
}

/** What the request asked for, of an end like this. */
function asked(notification: Notification | null, well: boolean): Notification | null {
  if (!notification) return null;
  return (well ? notification.on_success : notification.on_failure) ? notification : null;
}

async function tell(
  tx: Tx,
  { event, projectId, jobId, backupId, payload: content, about = jobId }: Happened,
  webhooks: readonly string[],
  notification: Notification | null = null,
): Promise<void> {
  const payload = JSON.stringify(content);
  const draft = (target: string) => ({
    ...{ projectId, event, payload, jobId, backupId },
    dedupeKey: `${event} ${about} ${target}`,
  });
  const drafts: DeliveryDraft[] = webhooks.map((webhookId) => ({
    ...{ ...draft(`webhook:${webhookId}`), channel: 'webhook', webhookId },
  }));
  const url = notification?.webhook ?? null;
  if (url !== null) {
    const lane = `url:${plainHost(new URL(url).hostname)}`;
    drafts.push({ ...draft(`url:${url}`), channel: 'webhook', target: url, lane });
  }
  for (const address of notification?.email ?? []) {
    drafts.push({ ...draft(`email:${address}`), channel: 'email', target: address, lane: 'email' });
  }
  await tx.deliveries.add(drafts);
}
