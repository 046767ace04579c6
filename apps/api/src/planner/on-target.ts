import {
  type DestinationTestPlan,
  PLAN_VERSION,
  type ResealPlan,
  type ServerTestPlan,
} from '@tarfleet/contracts';
import type { Database, DestinationRecord, ServerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { readPassword } from '../routes/services/database-settings.ts';
import { toJobDraft } from './job-draft.ts';
import { assertPinned, type PlanKeys, poolKey, toDestinationTarget, toServerTarget } from './targets.ts';

/** Jobs about a server or a destination, not about a backup. */
interface Deps {
  db: Database;
  keys: PlanKeys;
}

interface Origin {
  userId: string | null;
  requestId: string;
}

export async function planServerTest(
  { db, keys }: Deps,
  server: ServerRecord,
  origin: Origin,
): Promise<RunDraft> {
  poolKey(keys, server.pool);
  const target = await toServerTarget(db, server);
  // Its own key may be seen for the first time here; that of the host in between may not.
  if (target.kind === 'ssh' && target.jump) assertPinned({ ...target.jump, jump: null });
  const plan: ServerTestPlan = {
    ...base(server.pool, server.projectId, origin),
    kind: 'server-test',
    server: target,
  };
  return toDraft(plan, origin);
}

export async function planDestinationTest(
  { db, keys }: Deps,
  destination: DestinationRecord,
  pool: string,
  origin: Origin,
): Promise<RunDraft> {
  const project = await db.projects.ensureDefault();
  const plan: DestinationTestPlan = {
    ...base(pool, project.id, origin),
    kind: 'destination-test',
    destination: await toDestinationTarget(keys, destination, pool),
  };
  return toDraft(plan, origin);
}

/** NOT_SUPPORTED when nothing of the server's is sealed for its pool. */
export async function planReseal(
  { db, keys }: Deps,
  server: ServerRecord,
  origin: Origin,
): Promise<RunDraft> {
  const { host, port, sealed } = server;
  const databases = (await db.services.find({ serverId: server.id })).flatMap((service) => {
    const password = readPassword(service);
    // One that was given for another pool is of no use any more: it has to be given again.
    if (password?.pool !== server.pool) return [];
    return [{ serviceId: service.id, serviceName: service.name, info: password.info, secrets: password.box }];
  });
  if (sealed === null && databases.length === 0) {
    throw new AppError('NOT_SUPPORTED', `The server ${server.name} has no credentials that could be moved.`);
  }
  const plan: ResealPlan = {
    ...base(server.pool, server.projectId, origin),
    kind: 'reseal',
    serverId: server.id,
    host,
    port,
    secrets: sealed,
    ...(databases.length === 0 ? {} : { databases }),
    to: poolKey(keys, server.pool),
  };
  return toDraft(plan, origin);
}

function base(pool: string, projectId: number, { requestId }: Origin) {
  const issuedAt = new Date().toISOString();
  return { v: PLAN_VERSION, jobId: uuidv7(), pool, projectId, requestId, issuedAt } as const;
}

function toDraft(plan: ServerTestPlan | DestinationTestPlan | ResealPlan, { userId }: Origin): RunDraft {
  return {
    root: toJobDraft(plan, { userId, backupId: null }),
    children: [],
    leases: [],
    record: async () => undefined,
  };
}
