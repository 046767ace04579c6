import { JOB_KINDS } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { nullable, one, ProjectId, strict, Timestamp, Uuid } from '../shapes.ts';

const Count = Type.Integer({ minimum: 0 });

export const ProgressShape = strict({
  phase: Type.String(),
  percent: Type.Integer({ minimum: 0, maximum: 100 }),
  bytes_done: Count,
  bytes_total: nullable(Count),
  files_done: Count,
  files_total: nullable(Count),
  current: nullable(Type.String({ description: 'The path in hand' })),
  bytes_per_second: nullable(Count),
  seconds_left: nullable(Count),
});

const StepShape = strict({
  job_id: Uuid,
  attempt: Count,
  number: Type.Integer({ minimum: 1 }),
  name: Type.String(),
  status: Type.Enum(['running', 'completed', 'failed', 'skipped', 'interrupted'], {
    description: '`interrupted`: whoever had it in hand could not end it',
  }),
  message: Type.String(),
  started_at: Timestamp,
  ended_at: nullable(Timestamp),
  duration_ms: nullable(Type.Integer()),
});

export const JobShape = strict({
  id: Uuid,
  kind: Type.Enum([...JOB_KINDS]),
  state: Type.Enum(['queued', 'running', 'completed', 'partial', 'failed', 'cancelled']),
  pool: Type.String(),
  project_id: ProjectId,
  backup_id: nullable(Uuid),
  parent_id: nullable(Uuid),
  request_id: Type.String(),
  attempt: Type.Integer({ minimum: 0, description: 'How many times a worker has begun it' }),
  worker: nullable(Type.String()),
  progress: ProgressShape,
  steps: Type.Array(StepShape),
  result: nullable(Type.Object({}, { additionalProperties: true, description: 'By kind of job' })),
  failure: nullable(strict({ code: Type.String(), message: Type.String() })),
  cancel_requested_at: nullable(Timestamp),
  created_at: Timestamp,
  started_at: nullable(Timestamp),
  ended_at: nullable(Timestamp),
});

export const JobAnswer = one(JobShape);
export const CancelAnswer = strict({ success: Type.Literal(true), data: JobShape, message: Type.String() });

export const EventsQuery = strict({
  last_event_id: Type.Optional(Type.String({ pattern: '^[0-9]{1,19}$', description: 'a number' })),
});
export const EventsHeaders = Type.Object({
  'last-event-id': Type.Optional(Type.String({ pattern: '^[0-9]{0,19}$', description: 'a number' })),
});

export const CancelBody = Type.Unsafe<{ reason?: string } | null>({
  type: ['object', 'null'],
  properties: { reason: { type: 'string', maxLength: 500 } },
  additionalProperties: false,
});
