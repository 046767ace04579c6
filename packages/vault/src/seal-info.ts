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

/** What a destination's credentials in the API's own database are bound to (the `aad` of the secret box). */
export function destinationAad(destinationId: string): string {
  return `destination:${destinationId}`;
}

/** The same of a webhook's signing secret: under another address it does not open. */
export function webhookAad(webhook: { id: string; url: string }): string {
  return `webhook:${JSON.stringify([webhook.id, webhook.url])}`;
}
