import type { RetentionPolicy } from '@tarfleet/contracts';
import type { SeriesMember } from '@tarfleet/db';
import { createBuckets, SPANS } from './bucket.ts';

export type PolicyLevel = 'project' | 'schedule' | 'destination';

/** A policy that is in force, and where it comes from. */
export interface AppliedPolicy {
  level: PolicyLevel;
  /** Of a schedule's: it rules over the backups that the schedule made, and there the project's does not. */
  scheduleId?: string;
  policy: RetentionPolicy;
}

export const KEEP_RULES = [
  'locked',
  /** Its own `retention_days` are not over. */
  'retention_days',
  'days',
  'keep_last',
  'keep_hourly',
  'keep_daily',
  'keep_weekly',
  'keep_monthly',
  'keep_yearly',
  'keep_newest',
  /** Nothing says when it may go. */
  'no_end',
] as const;
export type KeepRule = (typeof KEEP_RULES)[number];

/** Why a backup is kept. */
export interface Reason {
  rule: KeepRule;
  /** Whose policy; null for what needs none. */
  level: PolicyLevel | null;
  /** Of the rules by time: which hour, day, ... it stands for. */
  bucket: string | null;
  /** Until when this reason holds, where that is known. */
  until: Date | null;
}

const DAY_MS = 24 * 3600 * 1000;

/**
 * Why each backup of one series is kept; what has no reason may go. Policies only add reasons: of several in force, a
 * backup is kept when any keeps it. Each counts among the backups that it is for, as if there were no others. Without a rule that says what is kept, backups go by their own days alone.
 * The members are all completed and partial backups of the series, in any order.
 */
export function evaluateSeries(
  members: readonly SeriesMember[],
  policies: readonly AppliedPolicy[],
  now: Date,
): Map<string, Reason[]> {
  const reasons = new Map<string, Reason[]>(members.map(({ id }) => [id, []]));
  const newestFirst = [...members].sort(byAge);
  const keep = (member: SeriesMember, rule: KeepRule, more: Partial<Omit<Reason, 'rule'>> = {}): void => {
    reasons.get(member.id)?.push({ rule, level: null, bucket: null, until: null, ...more });
  };
  const policiesFor = createPoliciesFor(policies);
  for (const member of members) {
    if (isLocked(member, now)) keep(member, 'locked', { until: member.lockUntil });
    const until = member.retentionUntil;
    if (until !== null && until > now) keep(member, 'retention_days', { until });
    if (until === null && !policiesFor(member).some(({ policy }) => saysWhatToKeep(policy)))
      keep(member, 'no_end');
  }
  for (const applied of policies) {
    const ruled = newestFirst.filter((member) => policiesFor(member).includes(applied));
    keepByPolicy(ruled, applied.policy, applied.level, now, keep);
  }
  const lasting = newestFirst.filter((member) => {
    const own = policiesFor(member);
    return own.length === 0 || own.some(({ policy }) => policy.keep_newest !== false);
  });
  for (const member of newestOf(standing(lasting))) keep(member, 'keep_newest');
  return reasons;
}

/** Which of the policies are for a backup: the schedule's in place of the project's, and the destination's in any case. */
function createPoliciesFor(
  policies: readonly AppliedPolicy[],
): (member: SeriesMember) => readonly AppliedPolicy[] {
  const bySchedule = new Map<string | null, AppliedPolicy[]>();
  const scheduled = new Set(policies.flatMap(({ scheduleId }) => scheduleId ?? []));
  return ({ scheduleId }) => {
    const own = scheduleId !== null && scheduled.has(scheduleId) ? scheduleId : null;
    const known = bySchedule.get(own);
    if (known) return known;
    const found = policies.filter((one) => {
      if (one.level === 'destination') return true;
      return one.level === 'project' ? own === null : one.scheduleId === own;
    });
    bySchedule.set(own, found);
    return found;
  };
}

/** Whether nobody may delete it. */
export function isLocked(backup: Pick<SeriesMember, 'lockedAt' | 'lockUntil'>, now: Date): boolean {
  return backup.lockedAt !== null && (backup.lockUntil === null || backup.lockUntil > now);
}

function keepByPolicy(
  newestFirst: readonly SeriesMember[],
  policy: RetentionPolicy,
  level: PolicyLevel,
  now: Date,
  keep: (member: SeriesMember, rule: KeepRule, more: Partial<Omit<Reason, 'rule'>>) => void,
): void {
  if (policy.days !== undefined) {
    for (const member of newestFirst) {
      const until = new Date(member.createdAt.getTime() + policy.days * DAY_MS);
      if (until > now) keep(member, 'days', { level, until });
    }
  }
  // Only what can stand for a span of time: all of it captured, and as far as is known undamaged.
  const sound = standing(newestFirst).filter(isSound);
  for (const member of sound.slice(0, policy.keep_last ?? 0)) keep(member, 'keep_last', { level });
  const bucketOf = createBuckets(policy.timezone ?? 'UTC');
  for (const span of SPANS) {
    const most = policy[`keep_${span}`] ?? 0;
    if (most === 0) continue;
    const seen = new Set<string>();
    for (const member of sound) {
      const bucket = bucketOf(member.createdAt, span);
      if (seen.has(bucket)) continue;
      if (seen.size === most) break;
      seen.add(bucket);
      keep(member, `keep_${span}`, { level, bucket });
    }
  }
}

/**
 * The newest of all, the newest completed one, and the newest that no verification found damaged: while one service
 * fails again and again, the last partial backup has the newest that there is of the others.
 */
function newestOf(newestFirst: readonly SeriesMember[]): Set<SeriesMember> {
  const completed = newestFirst.find(({ status }) => status === 'completed');
  const sound = newestFirst.find(isSound);
  return new Set([newestFirst[0], completed, sound].filter((one) => one !== undefined));
}

/**
 * Without emergency backups, where there are others: these hold what somebody wanted to be rid of, and must not take the
 * place of what was restored. Locks, days of their own and `days` keep them.
 */
function standing(members: readonly SeriesMember[]): readonly SeriesMember[] {
  const others = members.filter(({ occasion }) => occasion !== 'emergency');
  return others.length > 0 ? others : members;
}

function isSound({ status, damaged }: SeriesMember): boolean {
  return status === 'completed' && !damaged;
}

function saysWhatToKeep({ timezone: _zone, keep_newest: _newest, ...rules }: RetentionPolicy): boolean {
  return Object.values(rules).some((value) => value !== undefined);
}

function byAge(one: SeriesMember, other: SeriesMember): number {
  return other.createdAt.getTime() - one.createdAt.getTime() || (other.id < one.id ? -1 : 1);
}
