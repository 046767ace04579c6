import type { AuditStep, FullBackup, RestoreRecord } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { notFound } from '../../plugins/access.ts';
import { type ProgressView, readProgress } from '../jobs/progress.ts';
import { RestoreStatusAnswer, RestoreStatusParams } from './component-restore-schemas.ts';
import type { RunDeps } from './deps.ts';
import { seconds } from './formats.ts';
import { estimateRestore } from './view-preview.ts';

const WARNINGS_SHOWN = 100;

/** Document 2's status of a restore, whichever route has started it. */
export function componentRestoreStatusRoute(app: Api, { db }: Pick<RunDeps, 'db'>): void {
  app.get(
    '/api/backups/restore/status/:restore_id',
    {
      config: { role: 'admin', rateLimit: 'status' },
      schema: {
        tags: ['Restores'],
        summary: 'Show how far a restore is',
        params: RestoreStatusParams,
        response: { 200: RestoreStatusAnswer },
      },
    },
    async (request) => {
      const restore = await db.restores.get(request.params.restore_id);
      const backup = restore && (await db.backups.get(restore.backupId));
      if (!restore || !backup) throw notFound('restore');
      const job = await db.jobs.get(restore.id);
      const progress = job && (await readProgress(db, job));
      const artifacts = backup.artifacts.filter(({ serviceId }) => restore.serviceIds.includes(serviceId));
      const warnings = await db.jobEvents.ofTypes(restore.id, ['warning'], WARNINGS_SHOWN);
      const data = viewRestoreStatus(restore, {
        ...{ backup, progress, steps: await db.restores.steps(restore.id) },
        expected: restore.completedAt === null ? await estimateRestore(db, backup, artifacts) : null,
      });
      const words = warnings.flatMap(({ event }) => (event.type === 'warning' ? [event.message] : []));
      return { success: true as const, data: { ...data, warnings: words } };
    },
  );
}

interface Way {
  backup: FullBackup;
  progress: ProgressView | null;
  steps: readonly Pick<AuditStep, 'stepName' | 'status'>[];
  /** Seconds, by the past. */
  expected: number | null;
}

export function viewRestoreStatus(restore: RestoreRecord, { backup, progress, steps, expected }: Way) {
  const ended = restore.completedAt !== null;
  const begun = restore.startedAt ?? restore.createdAt;
  const elapsed = seconds(begun, restore.completedAt ?? new Date()) ?? 0;
  const components = [
    ...new Set(
      backup.artifacts
        .filter(({ serviceId }) => restore.serviceIds.includes(serviceId))
        .map(({ component }) => component),
    ),
  ].sort();
  const phases = [
    { name: 'verification', step: 'verify_integrity' },
    { name: 'preparation', step: 'create_rollback' },
    ...components.map((name) => ({ name: `${NAMES[name] ?? name}_restore`, step: 'restore_data' })),
    { name: 'post_restore_validation', step: 'complete' },
  ];
  const over = (step: string): boolean =>
    restore.status === 'completed' ||
    steps.some(({ stepName, status }) => stepName === step && status === 'completed');
  return {
    restore_id: restore.id,
    backup_id: restore.backupId,
    status: statusOf(restore),
    progress_percent: ended ? restore.progressPercentage : (progress?.percent ?? 0),
    current_phase: phaseOf(restore, components),
    started_at: begun.toISOString(),
    elapsed_seconds: elapsed,
    estimated_remaining_seconds: ended ? 0 : remaining(progress, expected, elapsed),
    bytes_restored: progress?.bytes_done ?? 0,
    total_bytes: progress?.bytes_total ?? null,
    current_operation: restore.currentStep,
    phases_completed: phases.filter(({ step }) => over(step)).map(({ name }) => name),
    phases_remaining: phases.filter(({ step }) => !over(step)).map(({ name }) => name),
    errors: restore.errorMessage === null ? [] : [restore.errorMessage],
  };
}

const NAMES: Record<string, string> = { files: 'file', configurations: 'configuration' };

function statusOf({ status }: RestoreRecord): 'in_progress' | 'completed' | 'failed' | 'rolled_back' {
  return status === 'completed' || status === 'failed' || status === 'rolled_back' ? status : 'in_progress';
}

function phaseOf(restore: RestoreRecord, components: readonly string[]): string {
  switch (restore.status) {
    case 'pending':
      return 'queued';
    case 'verifying':
      return 'verification';
    case 'preparing':
      return 'preparation';
    case 'stopping_services':
    case 'restoring':
      return `restoring_${components[0] ?? 'files'}`;
    case 'restarting_services':
      return 'post_restore_validation';
    default:
      return restore.status;
  }
}

/** What is still to be unpacked, at its pace; before there is one, by the past. */
function remaining(progress: ProgressView | null, expected: number | null, elapsed: number): number | null {
  if (progress && progress.seconds_left !== null) return progress.seconds_left;
  return expected === null || expected <= elapsed ? null : expected - elapsed;
}
