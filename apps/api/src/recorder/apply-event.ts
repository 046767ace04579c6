import type { JobEvent } from '@tarfleet/contracts';
import type { JobRecord, Repositories, RestoreStatus } from '@tarfleet/db';
import { v7 as uuidv7 } from 'uuid';
import type { SettleOptions } from './end.ts';
import { settle } from './settle.ts';

/** Document 1's states, by the step that brings them about. */
const RESTORE_STATES: Record<string, RestoreStatus> = {
  verify_integrity: 'verifying',
  connect: 'preparing',
  restore_service: 'restoring',
};

/** What one event changes, in the caller's transaction; gives the job as it is then. */
export async function applyEvent(
  tx: Repositories,
  job: JobRecord,
  event: JobEvent,
  options: SettleOptions,
): Promise<JobRecord> {
  switch (event.type) {
    case 'started': {
      const at = new Date(event.at);
      if (job.kind === 'restore') {
        await tx.restores.change(job.id, { status: 'preparing', startedAt: job.startedAt ?? at });
      }
      return { ...job, state: 'running', worker: event.worker, startedAt: job.startedAt ?? at };
    }
    case 'step':
      if (job.kind === 'restore') await recordRestoreStep(tx, job, event);
      return job;
    case 'warning':
    case 'retrying':
      return job;
    case 'ended': {
      const end = {
        state: event.state,
        at: new Date(event.at),
        result: event.result ?? null,
        failure: event.failure ?? null,
      };
      await settle(tx, job, end, options);
      return { ...job, state: end.state, endedAt: end.at, result: end.result, failure: end.failure };
    }
  }
}

async function recordRestoreStep(
  tx: Repositories,
  job: JobRecord,
  event: Extract<JobEvent, { type: 'step' }>,
): Promise<void> {
  const { number, name, status, message } = event;
  await tx.restores.recordStep(job.id, {
    logId: uuidv7(),
    number,
    name,
    status,
    message,
    at: new Date(event.at),
  });
  const state = RESTORE_STATES[name];
  if (status === 'started') {
    await tx.restores.change(job.id, {
      currentStep: message.slice(0, 255),
      ...(state === undefined ? {} : { status: state }),
    });
  }
}
