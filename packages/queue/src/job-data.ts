import { createParser, type FleetMessage, FleetMessage as Message, Uuid } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { JobsOptions } from 'bullmq';
import { type Static, Type } from 'typebox';
import type { QueueSettings } from './settings.ts';
import type { QueueJob } from './types.ts';

/** What a job carries in the queue. Its id, pool and kind are in its place. */
const JobData = Type.Object(
  {
    plan: Type.String({ minLength: 1 }),
    generation: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    parentJobId: Type.Optional(Uuid),
  },
  { additionalProperties: false },
);
export type JobData = Static<typeof JobData>;

export const parseJobData = createParser(JobData);
const parseMessageData = createParser(Type.Object({ body: Type.String() }, { additionalProperties: false }));
const parseMessage = createParser(Message);
const parseUuid = createParser(Uuid);

/** Throws PLAN_INVALID for a job that no worker could read. */
export function jobData(job: QueueJob): JobData {
  const data: JobData = {
    plan: job.plan,
    generation: job.generation,
    ...(job.parentJobId === undefined ? {} : { parentJobId: job.parentJobId }),
  };
  const parsed = parseJobData(data);
  const faults = parsed.ok ? [] : parsed.faults;
  if (!parseUuid(job.jobId).ok) faults.push('/jobId must be a UUID');
  if (faults.length > 0) {
    throw new AppError('PLAN_INVALID', `The job cannot be queued: ${faults.join('; ')}.`);
  }
  return data;
}

/** Finished jobs stay until the recorder removes them: their results are in no other place before. */
export function jobOptions(jobId: string, settings: QueueSettings): JobsOptions {
  return {
    jobId,
    attempts: settings.tries,
    backoff: { type: 'exponential', delay: settings.retryDelayMs },
    removeOnComplete: false,
    removeOnFail: false,
    stackTraceLimit: 0,
  };
}

/**
 * Values travel as JSON text inside BullMQ's own JSON: Postgres' jsonb refuses strings with NUL or half a
 * surrogate pair, which error texts and file names may hold, and would reorder keys.
 */
export function encodeValue(value: unknown): string {
  return JSON.stringify(value ?? null);
}

/** Undoes `encodeValue`; null for anything else. */
export function decodeValue(text: unknown): unknown {
  if (typeof text !== 'string') return null;
  try {
    return JSON.parse(text);
  } catch {
    // Written by something else than this package; the caller's parser will say so.
    return null;
  }
}

export function readMessage(
  data: unknown,
): { ok: true; value: FleetMessage } | { ok: false; faults: string[] } {
  const outer = parseMessageData(data);
  return outer.ok ? parseMessage(decodeValue(outer.value.body)) : outer;
}
