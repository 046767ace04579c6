/** What became of an action. */
export const AUDIT_OUTCOMES = [
  'succeeded',
  /** A job was started that does it. */
  'accepted',
  'refused',
  'failed',
  /** The process ended before it answered: the action may or may not have been done. */
  'unknown',
] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** One row of the audit log. It holds no secrets, and refers to nothing: it outlives what it tells of. */
export interface AuditEntry {
  /** Of `createAuditId(at)`. */
  id: string;
  /** When the request arrived. */
  at: Date;
  /** Null when nobody had signed in. */
  userId: string | null;
  /** As it was then. */
  userEmail: string | null;
  /** How they said who they are: session, cookie, token, external, password; or `schedule`, for what was due. */
  via: string | null;
  tokenId: string | null;
  tokenName: string | null;
  /** `restore.start` */
  action: string;
  method: string;
  /** The pattern, such as `/api/backups/:id`. */
  route: string;
  targetType: string;
  targetId: string | null;
  projectId: number | null;
  outcome: AuditOutcome;
  /** HTTP status of the answer; null when there was none. */
  status: number | null;
  errorCode: string | null;
  requestId: string;
  ip: string;
  details: Record<string, unknown>;
}

/** A row as the database has it: `at` is a Date there, and text in JSON. */
export interface AuditRow {
  id: string;
  at: Date | string;
  user_id: string | null;
  user_email: string | null;
  via: string | null;
  token_id: string | null;
  token_name: string | null;
  action: string;
  method: string;
  route: string;
  target_type: string;
  target_id: string | null;
  project_id: number | null;
  outcome: string;
  status: number | null;
  error_code: string | null;
  request_id: string;
  ip: string;
  details: Record<string, unknown>;
}

/** With every column, for `jsonb_populate_record`. */
export function toAuditJson(entry: AuditEntry): string {
  const row: AuditRow = {
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
    ip: entry.ip,
    details: entry.details,
  };
  return JSON.stringify(row);
}

export function toAuditEntry(row: AuditRow): AuditEntry {
  return {
    id: row.id,
    at: new Date(row.at),
    userId: row.user_id,
    userEmail: row.user_email,
    via: row.via,
    tokenId: row.token_id,
    tokenName: row.token_name,
    action: row.action,
    method: row.method,
    route: row.route,
    targetType: row.target_type,
    targetId: row.target_id,
    projectId: row.project_id,
    outcome: row.outcome as AuditOutcome,
    status: row.status,
    errorCode: row.error_code,
    requestId: row.request_id,
    ip: row.ip,
    details: row.details,
  };
}
