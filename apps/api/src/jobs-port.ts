import { JOB_KINDS, Uuid } from '@tarfleet/contracts';
import type { DestinationRecord, Repositories, ServerRecord } from '@tarfleet/db';
import { type Static, Type } from 'typebox';
import type { PlannedDestination } from './planner/targets.ts';
import type { Actor } from './plugins/actor.ts';

/** A job as these routes give it back: the start of what `GET /api/jobs/:id` shows. */
export const JobView = Type.Object(
  {
    id: Uuid,
    kind: Type.Enum([...JOB_KINDS]),
    state: Type.String(),
  },
  { additionalProperties: true },
);
export type JobView = Static<typeof JobView>;

/** Who asks, and in which request: both are stored with the job. */
export interface Caller {
  actor: Actor;
  requestId: string;
  /** Part of the transaction that stores the job. */
  accepting?(tx: Repositories, jobId: string): Promise<void>;
}

/**
 * How the routes of servers and destinations start jobs. Each resolves when the job's row is in the database, so
 * a queue that is down delays a job and never loses it.
 */
export interface JobStarter {
  startServerTest(server: ServerRecord, caller: Caller): Promise<JobView>;
  /** By the pool that is named, else by the one that made the newest backup there, or `default`. POOL_NOT_FOUND. */
  startDestinationTest(destination: PlannedDestination, caller: Caller, pool?: string): Promise<JobView>;
  /** Looks for what belongs to no backup. CONFLICT while somebody does. */
  startSurvey(destination: DestinationRecord, caller: Caller): Promise<JobView>;
  /** Moves a server's credentials to its pool's current key. */
  startReseal(server: ServerRecord, caller: Caller): Promise<JobView>;
}
