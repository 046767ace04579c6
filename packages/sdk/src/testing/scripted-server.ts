import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: unknown;
}

/** One answer, or what is done in place of one. */
export type Act = (response: ServerResponse, seen: Seen) => void;

export interface ScriptedServer {
  url: string;
  seen: Seen[];
  /** What the next requests get, in their order; one more than there are is a 500. */
  next(...acts: Act[]): void;
  /** What requests get of which nothing else is said. */
  otherwise(act: Act | undefined): void;
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

/** A real server that fails as it is told. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  let acts: Act[] = [];
  let rest: Act | undefined;
  let open = 0;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const one: Seen = {
      ...{ method: request.method ?? '', url: request.url ?? '', headers: request.headers },
      body: text === '' ? undefined : JSON.parse(text),
    };
    seen.push(one);
    const act = acts.shift() ?? rest ?? error(500, { code: 'INTERNAL', message: 'not in the script' });
    act(response, one);
  });
  server.on('connection', (socket) => {
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    next(...more) {
      seen.length = 0;
      acts = more;
      rest = undefined;
    },
    otherwise(act) {
      rest = act;
    },
    open: () => open,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Act =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

export const error = (
  status: number,
  body: { code: string; message?: string; details?: unknown },
  headers: Record<string, string> = {},
): Act =>
  json(
    status,
    { success: false, error: 'x', message: body.code, ...body },
    { 'x-request-id': 'request-1', ...headers },
  );

/** As a proxy answers whose upstream is away. */
export const page =
  (status: number): Act =>
  (response) =>
    response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>no</h1>');

/** The connection breaks before there is an answer. */
export const drop: Act = (response) => response.destroy();

/** It breaks in the middle of the answer. */
export const cut: Act = (response) => {
  response.writeHead(202, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"success":true,"data":{"id":"half');
  setImmediate(() => response.destroy());
};

/** No answer, ever. */
export const hang: Act = () => undefined;

/** A stream of events that then ends, breaks, or stays open. */
export const stream =
  (pieces: string[], end: 'end' | 'break' | 'stay' = 'end'): Act =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) response.write(piece);
    if (end === 'end') response.end();
    if (end === 'break') setTimeout(() => response.destroy(), 20);
  };

export const backup = (change: object = {}) => ({
  ...{ id: 'b1', name: 'Weekly Backup', description: null, type: 'manual', status: 'creating', size: 0 },
  ...{ file_path: 's3://b/b1', checksum: null, created_at: '2026-01-02T03:04:05.000Z' },
  ...{ completed_at: null, project_id: 1 },
  ...change,
});

export const job = (state: string, change: object = {}) => ({
  success: true,
  data: {
    ...{ id: 'b1', kind: 'backup', state, request_id: 'request-of-job', result: null, failure: null },
    progress: progress(state === 'completed' ? 100 : 0),
    ended_at: state === 'running' || state === 'queued' ? null : '2026-01-02T03:05:00.000Z',
    ...change,
  },
});

export const progress = (percent: number) => ({
  ...{ phase: 'transfer', percent, bytes_done: percent, bytes_total: 100, files_done: 0, files_total: 1 },
  ...{ current: null, bytes_per_second: null, seconds_left: null },
});
