import type { Repositories, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

export interface Chosen {
  service: ServiceRecord;
  server: ServerRecord;
}

/** Which of a project's services a backup is of. */
export interface Choice {
  projectId: number;
  serverId: string | null;
  /** Null: every component. */
  components: string[] | null;
  /** Ids or names; null: every service. */
  services: string[] | null;
}

type Reads = Pick<Repositories, 'services' | 'servers'>;

/** Those that a request names, at least one; else an error says what there is not. */
export async function chooseServices(db: Reads, request: Choice): Promise<Chosen[]> {
  const chosen = await findServices(db, request);
  if (chosen.length === 0) {
    throw new AppError(
      'NOTHING_TO_BACK_UP',
      'No service is configured that this backup could hold. Add one with POST /api/servers/{id}/services.',
    );
  }
  return chosen;
}

/** The same, where there may be none yet: server, components and services that are named must be there. */
export async function findServices(db: Reads, request: Choice): Promise<Chosen[]> {
  // What a fault names of the rest is looked for in all of them.
  const narrow = request.components === null && request.services !== null;
  const all = await db.services.ofProject(
    request.projectId,
    ...(narrow && request.services ? [request.services] : []),
  );
  const inServer = all.filter(({ server }) => request.serverId === null || server.id === request.serverId);
  if (request.serverId !== null && !all.some(({ server }) => server.id === request.serverId)) {
    const server = await db.servers.get(request.serverId);
    if (server?.projectId !== request.projectId) {
      throw new AppError('NOT_FOUND', `There is no server ${request.serverId} in this project.`);
    }
  }
  const { components, services } = request;
  const unknown = (components ?? []).filter(
    (name) => !inServer.some(({ service }) => service.component === name),
  );
  if (unknown.length > 0) {
    const known = [...new Set(inServer.map(({ service }) => service.component))].join(', ') || 'none';
    throw new AppError(
      'COMPONENT_NOT_FOUND',
      `No service has the component ${unknown.join(', ')}. Components here: ${known}.`,
      { details: { components: unknown } },
    );
  }
  const strange = (services ?? []).filter(
    (wanted) => !inServer.some(({ service }) => service.id === wanted || service.name === wanted),
  );
  if (strange.length > 0) {
    throw new AppError('NOT_FOUND', `There is no service ${strange.join(', ')} here.`, {
      details: { services: strange },
    });
  }
  return inServer.filter(
    ({ service }) =>
      (components === null || components.includes(service.component)) &&
      (services === null || services.includes(service.id) || services.includes(service.name)),
  );
}
