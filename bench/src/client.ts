import { Agent, request as httpRequest } from 'node:http';

// biome-ignore lint/suspicious/noExplicitAny: answers of every route
type Body = any;

/** A client of few means, so that the bench takes little of the machine from what it measures. */
export interface Client {
  /** Of its session. */
  token: string;
  /** The answer's body; rejects for any status but 2xx. */
  call(method: string, path: string, body?: unknown): Promise<Body>;
  close(): void;
}

export async function signIn(url: string, email: string, password: string): Promise<Client> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  let token = '';
  const call = (method: string, path: string, body?: unknown): Promise<Body> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers = {
        ...(text ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      };
      const outgoing = httpRequest(`${url}${path}`, { method, agent, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          const status = incoming.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(answer ? JSON.parse(answer) : null);
          else reject(new Error(`${method} ${path}: ${status} ${answer}`));
        });
      });
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  const { data } = await call('POST', '/api/auth/login', { email, password });
  token = data.token;
  return { token, call, close: () => agent.destroy() };
}

/** Runs `action` for each item, `width` at a time. */
export async function each<T>(
  items: readonly T[],
  width: number,
  signal: AbortSignal,
  action: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < items.length) {
      signal.throwIfAborted();
      const index = next;
      next += 1;
      await action(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, run));
}
