import type { ErrorCode } from '@tarfleet/contracts';
import type { Actor, Role } from './plugins/actor.ts';
import type { AuditNote } from './plugins/audit-note.ts';
import type { AuditRule } from './plugins/audit-rule.ts';
import type { Bucket } from './plugins/rate-limits.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on public routes; elsewhere `actorOf(request)` gives it. */
    actor: Actor | null;
    /** The job that this request has started: it runs whatever becomes of the answer. */
    acceptedJob: string | null;
    /** What the audit log will tell of this request. */
    audit: AuditNote | null;
    /** The Idempotency-Key that this request works under. */
    keyClaim: { userId: string; key: string } | null;
  }

  interface FastifyContextConfig {
    /** Open to all, without a look at who asks. */
    public?: true;
    /** The role that the route needs before anything else is looked at. */
    role?: Role;
    /** Counted for each user. */
    rateLimit?: Bucket;
    /** Where a request may count as something else than the route's others. */
    rateLimitOf?: (body: unknown) => Bucket;
    /**
     * Takes an Idempotency-Key. `secret`: the answer holds one, so it is not kept; a repeat is refused instead of
     * made twice.
     */
    idempotent?: true | 'secret';
    /** How its requests stand in the audit log: every route that changes something has this. */
    audit?: AuditRule;
    /** For the description: the role that the handler asks for in the project of what the route is about. */
    needs?: string;
    /** For the description: codes beside those that follow from the route's form. */
    errors?: readonly ErrorCode[];
  }
}
