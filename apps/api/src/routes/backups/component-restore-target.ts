import type { ArtifactRecord, Database, FullBackup, ServerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { onlyServer } from '../../planner/restore-artifacts.ts';
import { invalid } from '../../plugins/faults.ts';
import type { ComponentRestoreBody } from './component-restore-schemas.ts';

type Choice = Pick<ComponentRestoreBody, 'components' | 'server_id'>;

/** What a request is about, whether the backup came to hold it or not. */
export function meant(backup: FullBackup, { components, server_id: serverId }: Choice): ArtifactRecord[] {
  return backup.artifacts.filter(
    (one) =>
      (serverId === undefined || one.serverId === serverId) &&
      (components === undefined || components.includes(one.component)),
  );
}

/**
 * What of a backup holds these components. COMPONENT_NOT_FOUND names those that it does not hold, VALIDATION_FAILED
 * asks for a server where there are several.
 */
export function chooseComponents(backup: FullBackup, choice: Choice): ArtifactRecord[] {
  const { components, server_id: serverId } = choice;
  const there = meant(backup, serverId === undefined ? {} : { server_id: serverId }).filter(isHeld);
  if (serverId !== undefined && there.length === 0) {
    throw invalid([{ path: 'body/server_id', message: 'is no server that this backup holds anything of' }]);
  }
  const unknown = (components ?? []).filter((name) => there.every(({ component }) => component !== name));
  if (unknown.length > 0) {
    const names = [...new Set(there.map(({ component }) => component))].sort().join(', ');
    throw new AppError(
      'COMPONENT_NOT_FOUND',
      `The backup holds no component ${unknown.join(', ')}. It holds: ${names}.`,
      { details: { components: unknown } },
    );
  }
  const chosen = meant(backup, choice).filter(isHeld);
  const servers = new Map(chosen.map((one) => [one.serverId, one.serverName]));
  if (servers.size <= 1) return chosen;
  const names = [...servers].map(([id, name]) => `${name} (${id})`).join(', ');
  throw invalid([
    {
      path: 'body/server_id',
      message: `is required: a restore is for one server, and the backup holds these components of several: ${names}`,
    },
  ]);
}

function isHeld({ status }: ArtifactRecord): boolean {
  return status === 'completed';
}

/**
 * The server of the backup's project with this label; null for the one that was backed up. NOT_FOUND where none has
 * it, VALIDATION_FAILED where several have.
 */
export async function findByEnvironment(
  db: Pick<Database, 'servers'>,
  backup: FullBackup,
  artifacts: ArtifactRecord[],
  environment: string | undefined,
): Promise<ServerRecord | null> {
  if (environment === undefined) return null;
  const own = await db.servers.get(onlyServer(artifacts));
  if (own?.environment === environment) return null;
  const { items } = await db.servers.list({
    ...{ scope: 'all', projectId: backup.projectId, environment, page: 1, perPage: 100 },
  });
  const [server, other] = items;
  if (server && !other) return server;
  if (!server) {
    throw new AppError(
      'NOT_FOUND',
      `No server of this project has the environment ${environment}. Give it to one by PATCH /api/servers/{id}.`,
    );
  }
  const names = items.map(({ name }) => name).join(', ');
  throw invalid([
    {
      path: 'body/target_environment',
      message: `is that of several servers (${names}): name one by target_server_id of POST /api/backups/{id}/restore`,
    },
  ]);
}
