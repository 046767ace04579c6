import type { Database } from '@tarfleet/db';
import type { Dispatcher, RunDraft } from './dispatcher.ts';
import type { JobStarter, JobView } from './jobs-port.ts';
import { planDestinationTest, planReseal, planServerTest } from './planner/on-target.ts';
import { type PlanKeys, poolKey } from './planner/targets.ts';

/** Destinations belong to no pool: this one's workers try them. */
const DESTINATION_POOL = 'default';

/** Plans and submits the jobs that the routes of servers and destinations start. */
export function createJobStarter(deps: { db: Database; keys: PlanKeys; dispatcher: Dispatcher }): JobStarter {
  const start = async (draft: RunDraft): Promise<JobView> => {
    await deps.dispatcher.submit(draft);
    return { id: draft.root.id, kind: draft.root.kind, state: 'queued' };
  };
  return {
    startServerTest: async (server, { actor, requestId }) =>
      start(await planServerTest(deps, server, { userId: actor.userId, requestId })),
    startDestinationTest: async (destination, { actor, requestId }) => {
      poolKey(deps.keys, DESTINATION_POOL);
      const origin = { userId: actor.userId, requestId };
      return start(await planDestinationTest(deps, destination, DESTINATION_POOL, origin));
    },
    startReseal: async (server, { actor, requestId }) =>
      start(await planReseal(deps, server, { userId: actor.userId, requestId })),
  };
}
