import type { JobEvent } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import { tellStarted } from '../notifier/outbox.ts';
import type { SettleOptions } from './end.ts';
import { stageRecords } from './records/settle-records.ts';
import { beginRestore, recordRestoreStep } from './restore-steps.ts';
import { settle } from './settle.ts';
import { recordFound } from './settle-survey.ts';

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
      await beginRestore(tx, job, at);
      await tellStarted(tx, job, at);
      return { ...job, state: 'running', worker: event.worker, startedAt: job.startedAt ?? at };
    }
    case 'step':
      await recordRestoreStep(tx, job, event);
      return job;
    case 'warning':
    case 'retrying':
      return job;
    case 'found':
      await recordFound(tx, job, event, options);
      return job;
    case 'records':
      await stageRecords(tx, job, event);
      return job;
    case 'ended': {
      const told = {
        state: event.state,
        at: new Date(event.at),
        result: event.result ?? null,
        failure: event.failure ?? null,
      };
      const end = await settle(tx, job, told, options);
      return { ...job, state: end.state, endedAt: end.at, result: end.result, failure: end.failure };
    }
  }
}
