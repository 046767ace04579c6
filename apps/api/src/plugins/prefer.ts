import type { FastifyReply, FastifyRequest } from 'fastify';

/** The longest that an answer is held, in seconds. */
const MOST_SECONDS = 60;

/**
 * `Prefer: wait=N` (RFC 7240): how long the client would like to wait for the end of the job, in seconds, at most
 * 60; 0 when it did not say. A preference that makes no sense is ignored, as the RFC has it.
 */
export function preferredWait(request: FastifyRequest, reply: FastifyReply): number {
  const header = request.headers.prefer;
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  const found = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i.exec(text);
  if (!found) return 0;
  const seconds = Math.min(MOST_SECONDS, Number(found[1]));
  reply.header('preference-applied', `wait=${seconds}`);
  return seconds;
}
