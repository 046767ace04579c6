import type { Db } from './prisma-client.ts';

export interface RateLimitHit {
  allowed: boolean;
  /** How many more this window allows. */
  remaining: number;
  /** When the window ends and counting starts again. */
  resetAt: Date;
}

/**
 * Counters that hold over every API process. The window is fixed: it begins with the first hit after the last
 * one ended, so within any stretch of its length up to twice the limit may pass.
 */
export interface RateLimits {
  /**
   * Counts one use of `bucket` by `subject` (a user's id, an address) and says whether it is within `limit` per
   * `windowMs`. One statement: uses at the same moment are all counted.
   */
  hit(bucket: string, subject: string, limit: number, windowMs: number): Promise<RateLimitHit>;
  /** Removes counters whose window began more than a week ago: no window is that long. Returns how many. */
  purge(): Promise<number>;
}

export function createRateLimits(db: Db): RateLimits {
  return {
    async hit(bucket, subject, limit, windowMs) {
      const rows = await db.$queryRaw<{ count: number; resetAt: Date }[]>`
        INSERT INTO rate_limits AS r (bucket, subject, window_start, count)
        VALUES (${bucket}, ${subject}, clock_timestamp(), 1)
        ON CONFLICT (bucket, subject) DO UPDATE SET
          window_start = CASE WHEN r.window_start + ${windowMs} * interval '1 millisecond' <= excluded.window_start
                              THEN excluded.window_start ELSE r.window_start END,
          count = CASE WHEN r.window_start + ${windowMs} * interval '1 millisecond' <= excluded.window_start
                       THEN 1 ELSE LEAST(r.count, ${limit}::int) + 1 END
        RETURNING count, window_start + ${windowMs} * interval '1 millisecond' AS "resetAt"`;
      const row = rows[0];
      if (!row) throw new Error('the counter gave no row');
      return { allowed: row.count <= limit, remaining: Math.max(0, limit - row.count), resetAt: row.resetAt };
    },
    async purge() {
      const before = new Date(Date.now() - 7 * 24 * 3_600_000);
      return (await db.rateLimit.deleteMany({ where: { windowStart: { lt: before } } })).count;
    },
  };
}
