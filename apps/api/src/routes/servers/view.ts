import type { ServerRecord } from '@tarfleet/db';

/** Everything but the credentials, which the API could not read anyway. */
export function serverView(server: ServerRecord) {
  return {
    id: server.id,
    project_id: server.projectId,
    name: server.name,
    kind: server.kind,
    host: server.host,
    port: server.port,
    username: server.username,
    auth_type: server.authType,
    host_key_fingerprint: server.hostKeyFingerprint,
    pool: server.pool,
    become: server.becomeMethod === null ? null : { method: server.becomeMethod },
    jump: server.jumpId,
    environment: server.environment,
    tools: server.tools,
    created_at: server.createdAt.toISOString(),
    updated_at: server.updatedAt.toISOString(),
    last_seen_at: server.lastSeenAt?.toISOString() ?? null,
  };
}
