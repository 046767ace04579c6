import type { BackupResult, Failure } from '@tarfleet/contracts';
import type { BackupStatus, JobRecord, Repositories } from '@tarfleet/db';
import { completeArtifact, type End, failureOf, type SettleOptions } from './end.ts';
import { releaseCopies } from './settle-copy.ts';

type Artifact = BackupResult['artifacts'][number];
const DAY_MS = 24 * 3600 * 1000;
/** The number of a job's very first attempt: see Delivery.attempt. */
const FIRST_ATTEMPT = 1001;
const NO_LOCK = { lockedAt: null, lockedBy: null, lockReason: null, lockUntil: null };

/** Closes a backup: its own row, its artifacts, its children's jobs, its leases, its schedule's run, and the date of its sweep. */
export async function settleBackup(
  tx: Repositories,
  job: JobRecord,
  end: End,
  options: SettleOptions,
): Promise<void> {
  const result = end.result?.kind === 'backup' ? end.result : null;
  const children = await tx.jobs.children(job.id);
  await settleChildren(tx, children, result, end);
  await tx.leases.release(job.id);
  const backup = await tx.backups.find(job.id);
  const attempts = [job.attempt, ...children.map((child) => child.attempt)];
  for (const artifact of result?.artifacts ?? []) attempts.push(artifact.attempt);
  const leftOvers = end.state !== 'completed' || attempts.some((attempt) => attempt > FIRST_ATTEMPT);
  const failure = result ? (result.failed[0]?.failure ?? null) : failureOf(end);
  const holdsSomething = end.state === 'completed' || end.state === 'partial';
  const days = holdsSomething ? (backup?.retentionDays ?? null) : null;
  await tx.backups.change(job.id, {
    status: end.state satisfies BackupStatus,
    outcome: end.state,
    completedAt: end.at,
    ...(result ? totals(result) : {}),
    ...(failure ? { errorCode: failure.code, errorMessage: describe(result, failure) } : {}),
    ...(days === null ? {} : { retentionUntil: new Date(end.at.getTime() + days * DAY_MS) }),
    // Nothing is there to be kept.
    ...(holdsSomething ? {} : NO_LOCK),
    ...(leftOvers ? { sweepAfter: new Date(end.at.getTime() + options.sweepGraceMs) } : {}),
  });
  await releaseCopies(tx, job.id, holdsSomething);
  if (backup?.scheduleId)
    await settleRun(tx, job.id, end, failure && { ...failure, message: describe(result, failure) });
}

/** What the backup has come to counts for the schedule that made it. */
async function settleRun(
  tx: Repositories,
  backupId: string,
  end: End,
  failure: Failure | null,
): Promise<void> {
  const run = await tx.scheduleRuns.end(backupId, {
    status: end.state,
    endedAt: end.at,
    errorCode: failure?.code ?? null,
    errorMessage: failure?.message ?? null,
  });
  if (run?.status === 'completed') await tx.scheduleAlerts.resolve(run.scheduleId, run.dueAt, end.at);
}

function totals(result: BackupResult) {
  const sum = (of: (artifact: Artifact) => number, artifacts = result.artifacts): number =>
    artifacts.reduce((total, artifact) => total + of(artifact), 0);
  // What Tarfleet keeps of the project takes room, but is none of its users' files.
  const services = result.artifacts.filter(({ database }) => database?.method !== 'project_records');
  return {
    // What was to be compared with may have turned out to be no use.
    ...(result.artifacts.every(({ parent }) => parent === null) ? { type: 'full' } : {}),
    manifestKey: result.manifestKey,
    manifestSha256: result.manifestSha256,
    sizeBytes: sum(({ storedBytes, index }) => storedBytes + (index?.storedBytes ?? 0)),
    contentBytes: sum((artifact) => artifact.contentBytes, services),
    filesCount: sum((artifact) => artifact.files, services),
    directoriesCount: sum((artifact) => artifact.directories, services),
    ...(result.verifiedAt === null ? {} : { verified: true, verifiedAt: new Date(result.verifiedAt) }),
  };
}

function describe(result: BackupResult | null, failure: Failure): string {
  if (!result) return failure.message;
  return result.failed.map((one) => `${one.serviceName}: ${one.failure.message}`).join(' ');
}

async function settleChildren(
  tx: Repositories,
  children: JobRecord[],
  result: BackupResult | null,
  end: End,
): Promise<void> {
  for (const child of children) {
    await tx.projectRecords.forgetSealed(child.id);
    const done = result?.artifacts.find((artifact) => artifact.artifactId === child.id);
    if (done) {
      await completeArtifact(tx, done);
      await tx.artifacts.referOnly(
        child.id,
        done.ancestors.map(({ artifactId }) => artifactId),
      );
      if (child.endedAt === null) {
        await tx.jobs.change(child.id, { state: 'completed', endedAt: end.at, result: done });
      }
      continue;
    }
    const failed = result?.failed.find((one) => one.artifactId === child.id);
    const failure = failed?.failure ?? child.failure ?? failureOf(end);
    await tx.artifacts.fail(child.id, failure, end.at);
    await tx.artifacts.referOnly(child.id, []);
    if (child.endedAt !== null) continue;
    const state = failure.code === 'CANCELLED' ? 'cancelled' : 'failed';
    await tx.jobs.change(child.id, { state, endedAt: end.at, failure });
  }
}
