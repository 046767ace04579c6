import { Type } from 'typebox';

/** The request header of routes that can be waited for. It is only described: what makes no sense is ignored (RFC 7240). */
export const PREFER = Type.String({
  description:
    '`wait=N` (RFC 7240): hold the answer until the job has ended, for at most N seconds, and at most 60',
  examples: ['wait=30'],
});

const text = (description: string) => ({ type: 'string', description });
const whole = (description: string) => ({ type: 'integer', minimum: 0, description });

/** Headers of answers. */
export const HEADERS = {
  'x-request-id': text('The request’s id, as the logs have it: the caller’s own where it was a plain one'),
  location: text('Where what was made is, or the job: `/api/jobs/{id}`'),
  'preference-applied': text('The wait that was granted, such as `wait=30`'),
  'idempotency-replayed': {
    type: 'string',
    const: 'true',
    description: 'There when the answer is a repeated one',
  },
  'ratelimit-limit': whole('Requests of this kind that the window allows'),
  'ratelimit-remaining': whole('How many of them are left'),
  'ratelimit-reset': whole('Seconds until the window ends'),
  'retry-after': whole('Seconds to wait before another try'),
  'www-authenticate': text('`Bearer realm="tarfleet"`'),
} as const;
export type HeaderName = keyof typeof HEADERS;
