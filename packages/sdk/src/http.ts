import { createDeadline, pause } from './deadline.ts';
import { readError, readJson } from './read-answer.ts';
import { retryDelay } from './retry.ts';
import { TarfleetError } from './tarfleet-error.ts';

/** What any call may be given. */
export interface CallOptions {
  /** Ends the call, its retries and pauses; the call then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** For one try, its answer included, in milliseconds. */
  timeoutMs?: number;
}

export interface Call extends CallOptions {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** Makes a POST repeatable; the same for all of its tries. */
  idempotencyKey?: string;
}

export interface HttpOptions {
  baseUrl: string;
  token: (() => string | Promise<string>) | undefined;
  timeoutMs: number;
  /** Tries after the first one. */
  retries: number;
  /** The longest pause before one of them, in milliseconds; whoever asks for a longer one is told of as an error. */
  maxRetryWaitMs: number;
  fetch: typeof globalThis.fetch;
}

export interface Http {
  /** The answer's JSON. TarfleetError when it is none of success, after as many tries as are allowed and safe. */
  json<T>(call: Call): Promise<T>;
  /** One try at a stream, whatever its answer is; `signal` ends it at any time. Rejects as `fetch` does. */
  stream(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response>;
}

export function createHttp(options: HttpOptions): Http {
  // All that can go wrong by the caller's doing happens here, before anything is sent.
  const prepare = async (call: Call, more: Record<string, string>): Promise<[string, RequestInit]> => {
    const { body, idempotencyKey: key } = call;
    const headers = new Headers(more);
    if (options.token) headers.set('authorization', `Bearer ${await options.token()}`);
    if (body !== undefined) headers.set('content-type', 'application/json');
    if (key !== undefined) headers.set('idempotency-key', key);
    const init: RequestInit = {
      ...{ method: call.method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
      // With a token the browser's cookies have no say; without one, pages of the API's own origin have theirs.
      credentials: options.token ? 'omit' : 'same-origin',
      // A redirected POST would become a GET: whoever moved the API has to say so in `baseUrl`.
      ...{ redirect: 'manual', cache: 'no-store' },
    };
    return [options.baseUrl + call.path + queryOf(call.query), init];
  };

  const once = async <T>(call: Call): Promise<T> => {
    const [url, init] = await prepare(call, { accept: 'application/json' });
    const timeoutMs = call.timeoutMs ?? options.timeoutMs;
    const deadline = createDeadline(call.signal, timeoutMs);
    try {
      const response = await options.fetch(url, { ...init, signal: deadline.signal });
      if (!response.ok) throw await readError(response);
      return await readJson<T>(response);
    } catch (error) {
      throw failureOf(error, call.signal, deadline.timedOut() ? timeoutMs : null);
    } finally {
      deadline.end();
    }
  };

  return {
    async json<T>(call: Call): Promise<T> {
      const repeatable = call.method === 'GET' || call.idempotencyKey !== undefined;
      for (let tries = 1; ; tries += 1) {
        call.signal?.throwIfAborted();
        try {
          return await once<T>(call);
        } catch (error) {
          if (!(error instanceof TarfleetError) || tries > options.retries) throw error;
          const delay = retryDelay(error, { repeatable, tries, longest: options.maxRetryWaitMs });
          if (delay === null) throw error;
          await pause(delay, call.signal);
        }
      }
    },
    async stream(path, headers, signal) {
      const [url, init] = await prepare({ method: 'GET', path }, { accept: 'text/event-stream', ...headers });
      return options.fetch(url, { ...init, signal });
    },
  };
}

/** What to throw: the caller's own reason, else an error of ours. */
function failureOf(error: unknown, signal: AbortSignal | undefined, timeoutMs: number | null): unknown {
  if (signal?.aborted) return signal.reason;
  if (timeoutMs !== null) {
    return new TarfleetError({
      ...{ code: 'TIMED_OUT', message: `No whole answer within ${timeoutMs} ms.`, cause: error },
    });
  }
  if (error instanceof TarfleetError) return error;
  // What `fetch` rejects with, and a body that breaks off: platforms do not agree on its type.
  return new TarfleetError({
    code: 'CONNECTION_FAILED',
    message: 'The API could not be reached, or the connection broke off.',
    cause: error,
  });
}

function queryOf(query: Call['query'] = {}): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) text.set(name, String(value));
  }
  return text.toString() && `?${text}`;
}
