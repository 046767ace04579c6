/**
 * What a sealed box is bound to, as HPKE's `info`. Both ends compute it from what they know, so a box that was
 * moved to another project, host, port or pool does not open. JSON keeps the fields apart whatever they hold.
 */
export interface ServerSecretsPlace {
  projectId: number;
  host: string;
  /** TCP port of sshd. */
  port: number;
}

/** `info` of a server's credentials. The host's case does not matter, as in DNS. */
export function serverSecretsInfo(place: ServerSecretsPlace): string {
  return `tarfleet:server-secrets:v1:${JSON.stringify([place.projectId, place.host.toLowerCase(), place.port])}`;
}

/** `info` of a destination's credentials as they travel inside a plan for one pool. */
export function destinationSecretsInfo(place: { destinationId: string; pool: string }): string {
  return `tarfleet:destination-secrets:v1:${JSON.stringify([place.destinationId, place.pool])}`;
}

/** `info` of a project's own records as they travel inside the plan that backs them up. */
export function projectRecordsInfo(place: { backupId: string; pool: string }): string {
  return `tarfleet:project-records:v1:${JSON.stringify([place.backupId, place.pool])}`;
}

/** What a destination's credentials in the API's own database are bound to (the `aad` of the secret box). */
export function destinationAad(destinationId: string): string {
  return `destination:${destinationId}`;
}

/** The same of a webhook's signing secret: under another address it does not open. */
export function webhookAad(webhook: { id: string; url: string }): string {
  return `webhook:${JSON.stringify([webhook.id, webhook.url])}`;
}

/** Where a database's password may be used: changing any of these asks for it again. */
export interface DatabaseSecretsPlace {
  projectId: number;
  serverId: string;
  /** Of the server, as the worker connects to it; null for a local one. */
  server: { host: string; port: number } | null;
  type: string;
  /** Of the database, as the server sees it. */
  host: string | null;
  port: number | null;
  user: string | null;
}

/** `info` of a database's password. */
export function databaseSecretsInfo(place: DatabaseSecretsPlace): string {
  const { projectId, serverId, server, type, host, port, user } = place;
  const through = server && [server.host.toLowerCase(), server.port];
  return `tarfleet:database-secrets:v1:${JSON.stringify([projectId, serverId, through, type, host, port, user])}`;
}
