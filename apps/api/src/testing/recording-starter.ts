import type { JobKind } from '@tarfleet/contracts';
import type { Database } from '@tarfleet/db';
import { v7 as uuidv7 } from 'uuid';
import type { Caller, JobStarter, JobView } from '../jobs-port.ts';

export interface StartedJob {
  kind: JobKind;
  id: string;
  /** The server or destination. */
  on: string;
  caller: Caller;
}

/** Stores a job's row, as the real one does, and sends nothing anywhere. */
export function createRecordingStarter(db: Database): { starter: JobStarter; started: StartedJob[] } {
  const started: StartedJob[] = [];
  const start = async (kind: JobKind, on: string, caller: Caller): Promise<JobView> => {
    const { id: projectId } = await db.projects.ensureDefault();
    const id = uuidv7();
    const { actor, requestId } = caller;
    const draft = { kind, id, projectId, requestId, userId: actor.userId, backupId: null, parentId: null };
    await db.jobs.create([{ ...draft, pool: 'default', plan: '{}' }]);
    started.push({ kind, id, on, caller });
    return { id, kind, state: 'queued' };
  };
  return {
    started,
    starter: {
      startServerTest: (server, caller) => start('server-test', server.id, caller),
      startDestinationTest: (destination, caller) => start('destination-test', destination.id, caller),
      startReseal: (server, caller) => start('reseal', server.id, caller),
    },
  };
}
