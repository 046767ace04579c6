import type { Database, FullBackup, ServerRecord } from '@tarfleet/db';
import { ROWS_METHOD } from './restore-databases.ts';

/**
 * The one server of a project into which a backup of rows alone can go: where a service of rows is, of the same name if there
 * are several. Null where the backup holds more, or it is not clear.
 */
export async function rowsServerOf(
  db: Pick<Database, 'services'>,
  projectId: number,
  { artifacts }: Pick<FullBackup, 'artifacts'>,
): Promise<ServerRecord | null> {
  const restorable = artifacts.filter(({ status }) => status === 'completed');
  if (restorable.length === 0 || restorable.some(({ backupMethod }) => backupMethod !== ROWS_METHOD))
    return null;
  const there = (await db.services.ofProject(projectId)).filter(({ service }) => service.type === 'rows');
  const named = there.filter(({ service }) =>
    restorable.some(({ serviceName }) => serviceName === service.name),
  );
  const servers = new Map((named.length > 0 ? named : there).map(({ server }) => [server.id, server]));
  const [only = null, ...more] = servers.values();
  return more.length === 0 ? only : null;
}
