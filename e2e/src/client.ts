import { setTimeout as sleep } from 'node:timers/promises';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every route, looked at by tests
  body: any;
}

export interface Client {
  url: string;
  token: string;
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** As `request`, and throws with the answer when it is not a 2xx. */
  must(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer['body']>;
  /** The job when it has ended. */
  ended(jobId: string, timeoutMs?: number): Promise<Answer['body']>;
  /** Each server-sent event of a job until its end. */
  events(
    jobId: string,
    lastEventId?: string,
  ): AsyncGenerator<{ id: string | null; event: string; data: Answer['body'] }>;
  /** The same API through another process. */
  at(url: string): Client;
}

/** A client that knows nothing but HTTP. */
export async function signIn(url: string, email: string, password: string): Promise<Client> {
  const anonymous = createClient(url, '');
  const { data } = await anonymous.must('POST', '/api/auth/login', { email, password });
  return createClient(url, data.token);
}

export function createClient(url: string, token: string): Client {
  const request: Client['request'] = async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    let parsed: unknown = text;
    try {
      parsed = JSON.parse(text);
    } catch {
      // Not every answer is JSON.
    }
    return { status: response.status, headers: response.headers, body: parsed };
  };
  const must: Client['must'] = async (method, path, body, headers) => {
    const answer = await request(method, path, body, headers);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  return {
    url,
    token,
    request,
    must,
    async ended(jobId, timeoutMs = 120_000) {
      const until = Date.now() + timeoutMs;
      for (;;) {
        const { data } = await must('GET', `/api/jobs/${jobId}`);
        if (data.ended_at !== null) return data;
        if (Date.now() > until) throw new Error(`Job ${jobId} has not ended: ${JSON.stringify(data)}`);
        await sleep(150);
      }
    },
    async *events(jobId, lastEventId) {
      const response = await fetch(`${url}/api/jobs/${jobId}/events`, {
        headers: {
          authorization: `Bearer ${token}`,
          ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        },
      });
      if (!response.ok || !response.body) throw new Error(`events of ${jobId}: ${response.status}`);
      let buffer = '';
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        buffer += chunk;
        for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
          const block = buffer.slice(0, end);
          buffer = buffer.slice(end + 2);
          if (block.startsWith(':')) continue;
          const field = (name: string): string | null =>
            block.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1] ?? null;
          yield { id: field('id'), event: field('event') ?? '', data: JSON.parse(field('data') ?? 'null') };
        }
      }
    },
    at: (other) => createClient(other, token),
  };
}
