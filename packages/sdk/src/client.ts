import { type Backups, createBackups } from './backups.ts';
import { createHttp } from './http.ts';

export interface ClientOptions {
  /** Where the API is, such as `https://backup.example.com`; a path before `/api` belongs to it. */
  baseUrl: string;
  /** A session's or an API token, or what gives one, asked before each try. Left out by pages of the API's own origin, which have the cookie. */
  token?: string | (() => string | Promise<string>);
  /** Whose backups `create` and `list` are about. */
  projectId: number;
  /** For one try of any call, its answer included, in milliseconds; 30,000 when left out. */
  timeoutMs?: number;
  /** How many more tries a call has; 4 when left out, 0 for none. */
  retries?: number;
  /** The longest pause before another try, in milliseconds; 60,000 when left out. */
  maxRetryWaitMs?: number;
  /** In place of the platform's `fetch`. */
  fetch?: typeof globalThis.fetch;
}

export interface Client {
  readonly backups: Backups;
}

/** A client of one project. It holds nothing open: there is nothing to close. */
export function createClient(options: ClientOptions): Client {
  const { baseUrl, token, projectId } = options;
  if (!Number.isInteger(projectId)) throw new TypeError('projectId must be the number of a project.');
  if (!/^(\/|$)/.test(baseUrl) && !URL.canParse(baseUrl)) throw new TypeError('baseUrl must be an address.');
  const send = options.fetch;
  const http = createHttp({
    baseUrl: baseUrl.replace(/\/+$/, ''),
    token: typeof token === 'string' ? () => token : token,
    timeoutMs: options.timeoutMs ?? 30_000,
    retries: options.retries ?? 4,
    maxRetryWaitMs: options.maxRetryWaitMs ?? 60_000,
    // Browsers refuse a `fetch` that is called as a method of something else.
    fetch: (input, init) => (send ?? globalThis.fetch)(input, init),
  });
  return { backups: createBackups(http, projectId) };
}
