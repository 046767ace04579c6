import type { ErrorCode } from '@tarfleet/contracts';
import type { FastifySchema, RouteOptions } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { HEADERS, type HeaderName, PREFER } from './described-headers.ts';
import type { Bucket, Limit } from './rate-limits.ts';
import { STATUSES } from './statuses.ts';

type Limits = Record<Bucket, Limit>;
type Route = Pick<RouteOptions, 'method' | 'config'> & { schema: FastifySchema };

/** Beside which answers the client may see when it waits for the job. */
const WAITED =
  'With `Prefer`, a job that failed in time is answered with the code of its failure, and named by Location and details.job_id.';

/** A route answers at once or at the job's end: it honours `Prefer: wait`. */
export function waits(schema: FastifySchema): boolean {
  const statuses = Object.keys((schema.response as object | undefined) ?? {});
  return statuses.includes('200') && statuses.includes('202');
}

/** Who may send it, in a word: the role in the project of the thing where it belongs to one. */
export function whoMay(config: RouteOptions['config']): string {
  return config?.public ? 'open' : (config?.needs ?? config?.role ?? 'all');
}

/** Beside the schema: who may send it, and its name in the audit log. */
type Described = FastifySchema & { 'x-access': string; 'x-audit'?: string };

/** What a route's config says of it, in OpenAPI's terms. The schema that validates stays as it is. */
export function describeRoute(route: Route, limits: Limits): Described {
  const { schema, config } = route;
  const description = [schema.description, accessText(whoMay(config)), limitText(config?.rateLimit, limits)];
  if (waits(schema)) description.push(WAITED);
  const headers = {
    ...propertiesOf(schema.headers),
    ...(waits(schema) ? { prefer: Type.Optional(PREFER) } : {}),
  };
  return {
    ...schema,
    description: description.filter(Boolean).join(' '),
    ...(Object.keys(headers).length > 0 ? { headers: Type.Object(headers) } : {}),
    response: { ...successes(route), ...failures(route) },
    'x-access': whoMay(config),
    ...(config?.audit ? { 'x-audit': config.audit.action } : {}),
  };
}

function accessText(who: string): string {
  if (who === 'open') return 'Open to all.';
  if (who === 'all') return 'For all who have signed in.';
  return `Needs the role: ${who}.`;
}

function limitText(bucket: Bucket | undefined, limits: Limits): string {
  if (!bucket) return '';
  const { limit, windowMs } = limits[bucket];
  const subject = bucket === 'login' ? 'e-mail address and network address' : 'user';
  const shared = bucket === 'status' ? ', together with the other routes that show how far something is' : '';
  return `At most ${limit} requests ${windowMs === 60_000 ? 'a minute' : 'an hour'} for each ${subject}${shared}.`;
}

function successes({ schema, config }: Route): Record<string, object> {
  const waiting = waits(schema);
  return Object.fromEntries(
    Object.entries((schema.response as Record<string, object> | undefined) ?? {})
      .filter(([status]) => status !== 'default')
      .map(([status, answer]) => {
        const names: HeaderName[] = ['x-request-id'];
        if (status === '201' || status === '202' || waiting) names.push('location');
        if (waiting) names.push('preference-applied');
        if (config?.idempotent) names.push('idempotency-replayed');
        if (config?.rateLimit) names.push('ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset');
        return [status, { ...answer, description: SUCCESS[status] ?? 'Done', headers: pick(names) }];
      }),
  );
}

const SUCCESS: Record<string, string> = {
  200: 'Done',
  201: 'Made; Location says where it is',
  206: 'The part that Range asks for',
  302: 'Location is a link that needs no token, for a short time',
  304: 'What the client has is what there is',
  202: 'Accepted as a job; Location says where to follow it',
  503: 'Not ready',
};

function failures(route: Route): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codesOf(route)) {
    const { status } = STATUSES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const documented = Object.keys((route.schema.response as object | undefined) ?? {});
  const answers = [...byStatus].filter(([status]) => !documented.includes(String(status)));
  return {
    ...Object.fromEntries(
      answers.map(([status, codes]) => [
        String(status),
        failure(codes.map((code) => `\`${code}\``).join(', '), headersOfFailure(status, route, codes)),
      ]),
    ),
    default: failure('Any other error', ['x-request-id']),
  };
}

function failure(description: string, names: HeaderName[]): object {
  return { ...Type.Ref('Error#'), description, headers: pick(names) };
}

function headersOfFailure(
  status: number,
  { schema, config }: Route,
  codes: readonly ErrorCode[],
): HeaderName[] {
  const names: HeaderName[] = ['x-request-id'];
  if (status === 401) names.push('www-authenticate');
  const passes = codes.some((code) => STATUSES[code].retryAfter !== undefined);
  if (status === 429 || passes) names.push('retry-after');
  if (status === 429) names.push('ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset');
  if (waits(schema)) names.push('location', 'preference-applied');
  if (config?.idempotent) names.push('idempotency-replayed');
  return names;
}

/** What follows from the route's form, then what it says of itself. */
function codesOf({ method, schema, config }: Route): Set<ErrorCode> {
  const codes = new Set<ErrorCode>();
  const add = (when: unknown, ...more: ErrorCode[]): void => {
    if (when) for (const code of more) codes.add(code);
  };
  const own = config?.errors ?? [];
  const who = whoMay(config);
  add(schema.params || schema.querystring || schema.body || schema.headers, 'VALIDATION_FAILED');
  add(schema.body, 'MALFORMED_BODY', 'BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  add(!config?.public, 'UNAUTHENTICATED', 'UNAVAILABLE');
  add(!config?.public && method !== 'GET', 'ORIGIN_REFUSED');
  add(!['open', 'all', 'viewer'].includes(who), 'INSUFFICIENT_PERMISSIONS');
  add(schema.params && !own.includes('BACKUP_NOT_FOUND'), 'NOT_FOUND');
  add(config?.rateLimit, 'RATE_LIMITED');
  add(config?.idempotent, 'IDEMPOTENCY_KEY_IN_USE', 'IDEMPOTENCY_KEY_REUSED');
  add(true, ...own);
  return codes;
}

function pick(names: HeaderName[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, HEADERS[name]]));
}

function propertiesOf(schema: unknown): Record<string, TSchema> {
  return (schema as { properties?: Record<string, TSchema> } | undefined)?.properties ?? {};
}
