/** What a worker tells of a job. Durable events are numbered; progress is not, and may be lost. */
import { type Static, Type } from 'typebox';
import { Failure } from './errors.ts';
import { KeyName, PoolName, Timestamp, Uuid } from './ids.ts';
import { JOB_KINDS } from './plans.ts';
import { HandedRecord, RECORDS_EVENT_MOST } from './project-records.ts';
import { JobResult } from './results.ts';
import { FOUND_AT_ONCE, FoundGroup } from './survey.ts';

const closed = { additionalProperties: false } as const;
const numbered = {
  /** From 1, without gaps, within one attempt. */
  seq: Type.Integer({ minimum: 1 }),
  at: Timestamp,
};

export const END_STATES = ['completed', 'partial', 'failed', 'cancelled'] as const;
export type EndState = (typeof END_STATES)[number];

export const JobEvent = Type.Union([
  Type.Object({ ...numbered, type: Type.Literal('started'), worker: Type.String() }, closed),
  Type.Object(
    {
      ...numbered,
      type: Type.Literal('step'),
      /** Counts from 1 within the job; a step's start and end carry the same number. */
      number: Type.Integer({ minimum: 1 }),
      name: Type.String(),
      status: Type.Enum(['started', 'completed', 'failed', 'skipped']),
      message: Type.String(),
      details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    },
    closed,
  ),
  Type.Object(
    {
      ...numbered,
      type: Type.Literal('warning'),
      code: Type.String(),
      message: Type.String(),
      path: Type.Optional(Type.String()),
      /** Beside `path` when the name is not UTF-8. */
      pathBase64: Type.Optional(Type.String()),
    },
    closed,
  ),
  /** Part of what a survey found. It has its effect on the records and is not kept as an event. */
  Type.Object(
    {
      ...numbered,
      type: Type.Literal('found'),
      groups: Type.Array(FoundGroup, { minItems: 1, maxItems: FOUND_AT_ONCE }),
    },
    closed,
  ),
  /** Part of the project's own records, from this number on. Kept until the restore ends, and not as an event. */
  Type.Object(
    {
      ...numbered,
      type: Type.Literal('records'),
      from: Type.Integer({ minimum: 0 }),
      records: Type.Array(HandedRecord, { minItems: 1, maxItems: RECORDS_EVENT_MOST }),
    },
    closed,
  ),
  /** This attempt failed and the queue will run another. */
  Type.Object({ ...numbered, type: Type.Literal('retrying'), failure: Failure }, closed),
  Type.Object(
    {
      ...numbered,
      type: Type.Literal('ended'),
      state: Type.Enum([...END_STATES]),
      result: Type.Optional(JobResult),
      failure: Type.Optional(Failure),
    },
    closed,
  ),
]);
export type JobEvent = Static<typeof JobEvent>;
/** An event before it has its number and time. */
export type JobEventBody = JobEvent extends infer E
  ? E extends JobEvent
    ? Omit<E, 'seq' | 'at'>
    : never
  : never;

export const EventBatch = Type.Object(
  {
    v: Type.Literal(1),
    type: Type.Literal('events'),
    jobId: Uuid,
    kind: Type.Enum([...JOB_KINDS]),
    /** Rises with every try at the job, over re-dispatches too. */
    attempt: Type.Integer({ minimum: 1 }),
    /** Random; two tries never share it. */
    token: Type.String({ minLength: 8 }),
    events: Type.Array(JobEvent, { minItems: 1 }),
  },
  closed,
);
export type EventBatch = Static<typeof EventBatch>;

export const Heartbeat = Type.Object(
  {
    v: Type.Literal(1),
    type: Type.Literal('heartbeat'),
    workerId: Type.String(),
    host: Type.String(),
    pid: Type.Integer(),
    pool: PoolName,
    version: Type.String(),
    startedAt: Timestamp,
    at: Timestamp,
    stopping: Type.Boolean(),
    /** Names of the keys in the worker's keyring; `primary` is the one for new backups. */
    keyring: Type.Object({ keys: Type.Array(KeyName), primary: Type.Union([KeyName, Type.Null()]) }, closed),
    jobs: Type.Array(Type.Object({ jobId: Uuid, kind: Type.Enum([...JOB_KINDS]), since: Timestamp }, closed)),
  },
  closed,
);
export type Heartbeat = Static<typeof Heartbeat>;

/** Everything that travels in the events queue. */
export const FleetMessage = Type.Union([EventBatch, Heartbeat]);
export type FleetMessage = Static<typeof FleetMessage>;

/** Sent at most once a second; the last one always. Rates are bytes a second. */
export const Progress = Type.Object(
  {
    attempt: Type.Integer({ minimum: 1 }),
    /** Rises with every report of the attempt. */
    n: Type.Integer({ minimum: 1 }),
    phase: Type.String(),
    bytesDone: Type.Integer({ minimum: 0 }),
    bytesTotal: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    filesDone: Type.Integer({ minimum: 0 }),
    filesTotal: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    current: Type.Union([Type.String(), Type.Null()]),
    bytesPerSecond: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
    secondsLeft: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
  },
  closed,
);
export type Progress = Static<typeof Progress>;
