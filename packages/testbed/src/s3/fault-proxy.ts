import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What happens to one request: it passes; the connection is cut at once, after so many bytes of its body or of its answer;
 * it is carried out but the answer is lost with the connection, or kept back for ever, or one of its bytes is wrong; it
 * is answered with an error; or it is never carried out and nothing comes.
 */
export type Fault =
  | 'pass'
  | 'cut'
  | { cutRequestAfter: number }
  | { cutAnswerAfter: number }
  | { pauseAnswerAfter: number }
  | { corruptAnswerAt: number }
  | 'lose-answer'
  | 'keep-answer'
  | 'hang'
  | { status: number; code: string };

export interface FaultProxy {
  url: string;
  /** Decides over every request from now on; a request waits for as long as that takes. */
  decide: (request: { method: string; url: string; headers: IncomingHttpHeaders }) => Fault | Promise<Fault>;
  /** Ends every connection and listens no more. */
  stop(): Promise<void>;
}

/** Stands between an HTTP client and its server, and breaks what a test wants broken. Headers pass as they are. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const proxy: FaultProxy = { url: '', decide: () => 'pass', stop: async () => {} };
  const server = createServer(async (incoming, response) => {
    incoming.on('error', () => response.destroy());
    const { method = '', url = '', headers } = incoming;
    const fault = await proxy.decide({ method, url, headers });
    if (incoming.destroyed) return;
    if (fault === 'cut') return void incoming.socket.destroy();
    if (fault === 'hang') return void incoming.resume();
    if (typeof fault === 'object' && 'status' in fault) {
      incoming.resume();
      incoming.on('end', () => {
        const body = `<Error><Code>${fault.code}</Code><Message>${fault.code}</Message></Error>`;
        response.writeHead(fault.status, { 'content-type': 'application/xml' }).end(body);
      });
      return;
    }
    const outgoing = send({ hostname, port, method, path: url, headers, agent: false });
    outgoing.on('error', () => incoming.socket.destroy());
    // Left alone, the server would go on with a client that is gone.
    response.on('close', () => outgoing.destroy());
    forwardRequest(incoming, outgoing, fault);
    outgoing.on('response', (answer) => forwardAnswer(answer, response, fault));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy.stop = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return proxy;
}

function forwardRequest(incoming: IncomingMessage, outgoing: ReturnType<typeof send>, fault: Fault): void {
  let passed = 0;
  const limit = typeof fault === 'object' && 'cutRequestAfter' in fault ? fault.cutRequestAfter : null;
  incoming.on('data', (chunk: Buffer) => {
    passed += chunk.length;
    if (limit !== null && passed > limit) {
      outgoing.destroy();
      incoming.socket.destroy();
    } else if (!outgoing.write(chunk)) {
      incoming.pause();
      outgoing.once('drain', () => incoming.resume());
    }
  });
  incoming.on('end', () => outgoing.end());
}

function forwardAnswer(answer: IncomingMessage, response: ServerResponse, fault: Fault): void {
  answer.on('error', () => response.destroy());
  if (fault === 'lose-answer' || fault === 'keep-answer') {
    answer.resume();
    if (fault === 'lose-answer') answer.on('end', () => response.socket?.destroy());
    return;
  }
  response.writeHead(answer.statusCode ?? 500, answer.headers);
  const cut = typeof fault === 'object' && 'cutAnswerAfter' in fault ? fault.cutAnswerAfter : null;
  const pause = typeof fault === 'object' && 'pauseAnswerAfter' in fault ? fault.pauseAnswerAfter : null;
  const wrong = typeof fault === 'object' && 'corruptAnswerAt' in fault ? fault.corruptAnswerAt : -1;
  let passed = 0;
  answer.on('data', (chunk: Buffer) => {
    if (wrong >= passed && wrong < passed + chunk.length)
      chunk[wrong - passed] = ~(chunk[wrong - passed] ?? 0);
    const room = (cut ?? pause ?? Number.POSITIVE_INFINITY) - passed;
    passed += chunk.length;
    if (room >= chunk.length) {
      if (!response.write(chunk)) {
        answer.pause();
        response.once('drain', () => answer.resume());
      }
      return;
    }
    answer.pause();
    if (room > 0) response.write(chunk.subarray(0, room));
    // What was written before the cut shall arrive.
    if (cut !== null) response.socket?.end(() => response.socket?.destroy());
  });
  answer.on('end', () => response.end());
}
