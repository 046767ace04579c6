import type { Database } from '@tarfleet/db';
import type { Dispatcher, RunDraft } from './dispatcher.ts';
import type { Caller, JobStarter, JobView } from './jobs-port.ts';
import { planDestinationTest, planReseal, planServerTest } from './planner/on-target.ts';
import { planSurvey } from './planner/survey.ts';
import { type PlanKeys, poolKey } from './planner/targets.ts';

/** Destinations belong to no pool: this one's workers try those without any backup. */
const FIRST_POOL = 'default';

/** Plans and submits the jobs that the routes of servers and destinations start. */
export function createJobStarter(deps: {
  db: Database;
  keys: PlanKeys;
  dispatcher: Dispatcher;
  sweepGraceMs: number;
}): JobStarter {
  const start = async (draft: RunDraft, { accepting }: Caller): Promise<JobView> => {
    await deps.dispatcher.submit({
      ...draft,
      async record(tx) {
        await draft.record(tx);
        await accepting?.(tx, draft.root.id);
      },
    });
    return { id: draft.root.id, kind: draft.root.kind, state: 'queued' };
  };
  return {
    startServerTest: async (server, caller) =>
      start(await planServerTest(deps, server, originOf(caller)), caller),
    startDestinationTest: async (destination, caller, asked) => {
      const pool = asked ?? (await deps.db.surveys.poolOf(destination.id)) ?? FIRST_POOL;
      poolKey(deps.keys, pool);
      return start(await planDestinationTest(deps, destination, pool, originOf(caller)), caller);
    },
    startSurvey: async (destination, caller) => {
      const request = { destination, ...originOf(caller), graceMs: deps.sweepGraceMs };
      return start(await planSurvey(deps, request), caller);
    },
    startReseal: async (server, caller) => start(await planReseal(deps, server, originOf(caller)), caller),
  };
}

function originOf({ actor, requestId }: Caller): { userId: string; requestId: string } {
  return { userId: actor.userId, requestId };
}
