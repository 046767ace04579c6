import type { AuditEntry } from '@tarfleet/db';
import type { Actor } from '../../plugins/actor.ts';

export function auditView(entry: AuditEntry, reader: Pick<Actor, 'userId' | 'seesAll'>) {
  return {
    id: entry.id,
    at: entry.at.toISOString(),
    user_id: entry.userId,
    user_email: entry.userEmail,
    via: entry.via,
    token_id: entry.tokenId,
    token_name: entry.tokenName,
    action: entry.action,
    method: entry.method,
    route: entry.route,
    target_type: entry.targetType,
    target_id: entry.targetId,
    project_id: entry.projectId,
    outcome: entry.outcome,
    status: entry.status,
    error_code: entry.errorCode,
    request_id: entry.requestId,
    // Where others sit is for administrators.
    ip: reader.seesAll || entry.userId === reader.userId ? entry.ip : null,
    details: entry.details,
  };
}
