import { isDeepStrictEqual } from 'node:util';
import type { ResealPlan, ResultOf } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import { tellCopiesFailed, tellEnded } from '../notifier/outbox.ts';
import { completeArtifact, type End, failureOf, type SettleOptions } from './end.ts';
import { handOn, type Refused } from './hand-on.ts';
import { settleProjectRecords } from './records/settle-records.ts';
import { settleBackup } from './settle-backup.ts';
import { settleCopy } from './settle-copy.ts';
import { settleRestore, settleRollback } from './settle-restore.ts';
import { settleSurvey } from './settle-survey.ts';
import { settleFoundDamage, settleVerify } from './settle-verify.ts';

const SWEEP_AGAIN_MS = 3600 * 1000;

/**
 * What the end of a job means to the records it was about, in the caller's transaction. Gives the end as it has become:
 * the job's own row is the caller's.
 */
export async function settle(
  tx: Repositories,
  job: JobRecord,
  told: End,
  options: SettleOptions,
): Promise<End> {
  const end = await settleProjectRecords(tx, job, told);
  // Of attempts that were superseded, or that wait for one that never came.
  if (job.kind === 'restore' || job.kind === 'survey') await tx.jobEvents.forgetHeld(job.id);
  const refused = await handOn(tx, job, end);
  await settleRecords(tx, job, end, options);
  await tellEnded(tx, job, end);
  for (const one of refused) await endRefused(tx, one, options);
  return end;
}

/** Ends what waited for a job that did not come to the end that it needs. */
async function endRefused(tx: Repositories, { job, end }: Refused, options: SettleOptions): Promise<void> {
  await settle(tx, job, end, options);
  const { state, at, failure } = end;
  await tx.jobs.change(job.id, { state, endedAt: at, failure });
  await tx.notifier.jobsChanged([job.id]);
}

async function settleRecords(
  tx: Repositories,
  job: JobRecord,
  end: End,
  options: SettleOptions,
): Promise<void> {
  const { result } = end;
  switch (job.kind) {
    case 'artifact':
      // An estimate for those who look meanwhile: what the backup says of it in the end is what counts.
      await tx.projectRecords.forgetSealed(job.id);
      if (result?.kind === 'artifact') await completeArtifact(tx, result);
      else await tx.artifacts.fail(job.id, failureOf(end), end.at);
      return;
    case 'backup':
      await settleBackup(tx, job, end, options);
      return;
    case 'verify':
      if (result?.kind === 'verify') await settleVerify(tx, job, result);
      return;
    case 'restore':
      await settleRestore(tx, job, end);
      await settleFoundDamage(tx, job, end);
      return;
    case 'delete':
      if (job.backupId !== null && end.state === 'completed') {
        await tx.backups.change(job.backupId, {
          status: 'deleted',
          deletedAt: end.at,
          sweptAt: end.at,
        });
        await tx.artifacts.releaseAll(job.backupId);
        await tx.copies.removeAll(job.backupId);
      }
      return;
    case 'sweep':
      if (job.backupId !== null) await tx.backups.change(job.backupId, afterSweep(end));
      return;
    case 'server-test':
      if (result?.kind === 'server-test') await settleServerTest(tx, job, result, end.at);
      return;
    case 'reseal':
      if (result?.kind === 'reseal') await settleReseal(tx, job, result);
      return;
    case 'rewrap':
      if (job.backupId !== null && result?.kind === 'rewrap' && end.state === 'completed') {
        await tx.backups.change(job.backupId, { encryptionKeys: [result.keyName] });
      }
      return;
    case 'rollback':
      await settleRollback(tx, job, end);
      return;
    case 'survey':
      if (result?.kind === 'survey' && end.state === 'completed') await settleSurvey(tx, job, result, end.at);
      return;
    case 'destination-test':
      if (result?.kind === 'destination-test') await settleDestinationTest(tx, job, result, end.at);
      return;
    case 'copy':
      await tellCopiesFailed(tx, job, await settleCopy(tx, job, end), end.at);
      return;
    case 'preview':
      return;
  }
}

/** Manifest and records at odds are for a person to look at; whatever else stopped the sweep may pass. */
function afterSweep(end: End): { sweptAt: Date } | { sweepAfter: Date } {
  const done = end.state === 'completed' || end.failure?.code === 'CONFLICT';
  return done ? { sweptAt: end.at } : { sweepAfter: new Date(end.at.getTime() + SWEEP_AGAIN_MS) };
}

async function settleServerTest(
  tx: Repositories,
  job: JobRecord,
  result: ResultOf<'server-test'>,
  at: Date,
): Promise<void> {
  if (!result.reachable) return;
  const { server } = JSON.parse(job.plan) as { server: { id: string; host?: string; port?: number } };
  // What an earlier host showed says nothing of the one that is configured now, least of all its key.
  const now = await tx.servers.get(server.id);
  if (!now || now.host !== (server.host ?? null) || now.port !== (server.port ?? null)) return;
  await tx.servers.recordTest(server.id, { tools: result.tools, at, fingerprint: result.fingerprint });
}

async function settleDestinationTest(
  tx: Repositories,
  job: JobRecord,
  { writable, failure }: ResultOf<'destination-test'>,
  at: Date,
): Promise<void> {
  const { destination } = JSON.parse(job.plan) as { destination: { id: string; config: unknown } };
  // What is tried before it is saved, or was changed since, says nothing of what is configured now.
  const now = await tx.destinations.get(destination.id);
  if (!now || !isDeepStrictEqual(now.config, destination.config)) return;
  const error = failure ? failure.message : writable ? null : 'Nothing can be written there.';
  await tx.destinations.recordTest(now.id, { at, error });
}

async function settleReseal(tx: Repositories, job: JobRecord, result: ResultOf<'reseal'>): Promise<void> {
  const plan = JSON.parse(job.plan) as ResealPlan;
  if (result.secrets && plan.serverId === result.serverId) {
    await tx.servers.reseal(plan.serverId, { before: plan.secrets, after: result.secrets });
  }
  for (const { serviceId, secrets: after } of result.databases ?? []) {
    const named = plan.databases?.find((one) => one.serviceId === serviceId);
    if (named) await tx.services.resealPassword(serviceId, { before: named.secrets, after });
  }
}
