/** What kind of thing an action is about. */
export const AUDIT_TARGETS = [
  'session',
  'token',
  'user',
  'project',
  'member',
  'server',
  'service',
  'destination',
  'backup',
  'schedule',
  'job',
  'webhook',
  'notification',
] as const;
export type AuditTarget = (typeof AUDIT_TARGETS)[number];

/** How a route's requests are written into the audit log. Part of its config. */
export interface AuditRule {
  /** `restore.start`: a noun, a dot, a verb. */
  action: string;
  /** What a request that was refused or failed is called instead. */
  otherwise?: string;
  target: AuditTarget;
  /** The path parameter that names the target; left out, the request makes it, and Location names it. */
  param?: string;
  /** The parameter that names the target's project or server, where the target itself is not looked up. */
  within?: { target: 'project' | 'server'; param: string };
  /** Fields of the body and the query whose values are kept beside the names: never one that may hold a secret. */
  shows?: readonly string[];
}
