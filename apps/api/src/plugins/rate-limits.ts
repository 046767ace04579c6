import type { Database } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyReply } from 'fastify';
import type { Api } from '../api-type.ts';
import type { ApiConfig } from '../env.ts';

export interface Limit {
  limit: number;
  windowMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Every bucket and what it allows one subject. */
export function limitsOf(config: ApiConfig) {
  return {
    restores: { limit: config.RATE_LIMIT_RESTORES_PER_HOUR, windowMs: HOUR },
    status: { limit: config.RATE_LIMIT_STATUS_PER_MINUTE, windowMs: MINUTE },
    verify: { limit: config.RATE_LIMIT_VERIFY_PER_HOUR, windowMs: HOUR },
    downloads: { limit: config.RATE_LIMIT_DOWNLOADS_PER_MINUTE, windowMs: MINUTE },
    /** For one e-mail address from one network address. */
    login: { limit: config.RATE_LIMIT_LOGINS_PER_MINUTE, windowMs: MINUTE },
    /** From one network address, whatever it tries. */
    'login-address': { limit: config.RATE_LIMIT_LOGINS_PER_MINUTE * 10, windowMs: MINUTE },
  } satisfies Record<string, Limit>;
}
export type Bucket = keyof ReturnType<typeof limitsOf>;

/** Counts one use, in the database, and writes the headers; RATE_LIMITED when it is one too many. */
export type CountUse = (reply: FastifyReply, bucket: Bucket, subject: string) => Promise<void>;

export function createCountUse(db: Pick<Database, 'rateLimits'>, config: ApiConfig): CountUse {
  const limits = limitsOf(config);
  return async (reply, bucket, subject) => {
    const { limit, windowMs } = limits[bucket];
    const hit = await db.rateLimits.hit(bucket, subject, limit, windowMs);
    const seconds = Math.max(1, Math.ceil((hit.resetAt.getTime() - Date.now()) / 1000));
    // draft-ietf-httpapi-ratelimit-headers-06, the form with a header for each figure.
    reply.headers({
      'ratelimit-limit': limit,
      'ratelimit-remaining': hit.remaining,
      'ratelimit-reset': seconds,
    });
    if (hit.allowed) return;
    reply.header('retry-after', seconds);
    throw new AppError('RATE_LIMITED', `Too many requests of this kind; try again in ${seconds} seconds.`, {
      details: { limit, window_seconds: windowMs / 1000, retry_after_seconds: seconds },
    });
  };
}

/**
 * Routes with a bucket in their config are counted for each user: after the checks of the request, so that a
 * mistyped one costs nothing, and after the look for an answer that is only repeated.
 */
export function addRateLimits(app: Api, countUse: CountUse): void {
  app.addHook('preHandler', async (request, reply) => {
    const { rateLimit, rateLimitOf } = request.routeOptions.config;
    const bucket = rateLimitOf?.(request.body) ?? rateLimit;
    if (bucket && request.actor) await countUse(reply, bucket, request.actor.userId);
  });
}
