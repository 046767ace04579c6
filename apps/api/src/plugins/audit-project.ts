import type { Database } from '@tarfleet/db';
import type { AuditRule, AuditTarget } from './audit-rule.ts';

export type AuditReads = Pick<
  Database,
  'servers' | 'backups' | 'schedules' | 'jobs' | 'webhooks' | 'deliveries'
>;

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const LARGEST_INTEGER = 2_147_483_647;

/** The project of what a request is about, as far as its path tells; the parameters may be unchecked. */
export async function projectOfPath(
  db: AuditReads,
  rule: AuditRule,
  params: unknown,
): Promise<number | null> {
  const { target, param } = rule.within ?? rule;
  return param === undefined ? null : projectOf(db, target, paramOf(params, param));
}

/** The project that a thing belongs to; null when it is unknown or belongs to none. */
export async function projectOf(
  db: AuditReads,
  target: AuditTarget,
  id: string | null,
): Promise<number | null> {
  if (id === null) return null;
  if (target === 'project') return toProjectId(Number(id));
  if (!UUID.test(id)) return null;
  if (target === 'server') return (await db.servers.get(id))?.projectId ?? null;
  if (target === 'backup') return (await db.backups.get(id))?.projectId ?? null;
  if (target === 'schedule') return (await db.schedules.get(id))?.projectId ?? null;
  if (target === 'job') return (await db.jobs.get(id))?.projectId ?? null;
  if (target === 'webhook') return (await db.webhooks.get(id))?.projectId ?? null;
  if (target === 'notification') return (await db.deliveries.get(id))?.projectId ?? null;
  return null;
}

export function toProjectId(value: unknown): number | null {
  const fits = typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= LARGEST_INTEGER;
  return fits ? value : null;
}

/** Null unless it looks like one of our ids: what else stands in a path may be anything. */
export function paramOf(params: unknown, name: string): string | null {
  const value = (params as Record<string, unknown> | null | undefined)?.[name];
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && (UUID.test(text) || /^\d{1,10}$/.test(text)) ? text.toLowerCase() : null;
}
