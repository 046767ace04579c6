import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
  path: string;
}

/** What the receiver does with a request: a status, or something worse. */
export type Behaviour = number | 'hang' | 'cut' | ((response: ServerResponse) => void);

export interface Receiver {
  url: string;
  requests: Received[];
  /** Of the next requests, one after the other; the last one stays. */
  behave(...behaviours: Behaviour[]): void;
  /** When so many requests have come. */
  got(count: number): Promise<Received[]>;
  close(): Promise<void>;
}

/** A real HTTP server that fails, hangs, cuts, and recovers. */
export async function startReceiver(): Promise<Receiver> {
  const requests: Received[] = [];
  const waiting: { count: number; resolve(): void }[] = [];
  let behaviours: Behaviour[] = [200];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const behaviour = (behaviours.length > 1 ? behaviours.shift() : behaviours[0]) ?? 200;
      requests.push({ headers: request.headers, body, path: request.url ?? '' });
      for (const one of waiting) if (requests.length >= one.count) one.resolve();
      if (behaviour === 'cut') request.socket.destroy();
      else if (typeof behaviour === 'number') response.writeHead(behaviour).end('thanks');
      else if (typeof behaviour === 'function') behaviour(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    requests,
    behave(...next) {
      behaviours = next;
    },
    async got(count) {
      if (requests.length < count) {
        await new Promise<void>((resolve) => waiting.push({ count, resolve }));
      }
      return requests;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
