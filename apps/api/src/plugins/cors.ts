import cors from '@fastify/cors';
import type { Api } from '../api-type.ts';

/** What pages of other origins may send, and read of the answers beside what any page may. */
const ALLOWED = [
  ...['authorization', 'x-api-token', 'content-type', 'idempotency-key', 'prefer', 'last-event-id'],
  'x-request-id',
];
const EXPOSED = [
  ...['location', 'preference-applied', 'retry-after', 'x-request-id', 'idempotency-replayed'],
  ...['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
];
/** How long browsers remember a preflight's answer, in seconds. */
const REMEMBERED = 600;

/**
 * Lets pages of these origins, and of no others, use the API from browsers. With tokens alone: credentials that
 * browsers add by themselves are not allowed, so the session cookie stays with our own pages.
 */
export async function addCors(app: Api, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  const known = new Set(origins);
  await app.register(cors, {
    origin: async (origin: string | undefined) =>
      origin !== undefined && known.has(origin) ? origin : false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ALLOWED,
    exposedHeaders: EXPOSED,
    credentials: false,
    maxAge: REMEMBERED,
  });
}

/** Each as browsers send it (`https://app.example.com`), commas between. TypeError says what is wrong. */
export function parseOrigins(text: string): string[] {
  const given = text.split(',').map((one) => one.trim());
  return given.filter(Boolean).map((origin) => {
    const url = URL.canParse(origin) ? new URL(origin) : null;
    if (url && /^https?:$/.test(url.protocol) && url.origin === origin && !origin.includes('*'))
      return origin;
    const right = url && /^https?:$/.test(url.protocol) ? url.origin : 'https://app.example.com';
    throw new TypeError(`${origin} is not an origin: write scheme, host and port alone, such as ${right}`);
  });
}
