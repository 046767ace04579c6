import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PageServer {
  /** Of the page; `other` serves the same from an origin of its own. */
  origin: string;
  other: string;
  /** What the pages are told; to be set before one is opened. */
  given: Record<string, unknown>;
  /** What the page of an origin came to. */
  result(origin: string): Promise<unknown>;
  close(): Promise<void>;
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>SDK</title><script type="module">
import * as sdk from '/sdk.js';
import { scenario } from '/scenario.mjs';
const given = await (await fetch('/given')).json();
const result = await scenario(sdk, given).catch(({ name, code, message, stack }) => ({ failed: { name, code, message, stack } }));
await fetch('/result', { method: 'POST', body: JSON.stringify(result) });
</script>`;

/** Serves a page that runs the scenario with the built client, and takes what came of it. */
export async function startPageServer(
  files: { sdk: string; scenario: string },
  lose: () => Promise<void>,
): Promise<PageServer> {
  const given: Record<string, unknown> = {};
  const results = new Map<string, PromiseWithResolver>();
  const resultOf = (origin: string): PromiseWithResolver => {
    const found = results.get(origin) ?? withResolver();
    results.set(origin, found);
    return found;
  };
  const serve = async (
    origin: string,
    method: string,
    path: string,
    body: string,
  ): Promise<[string, string]> => {
    switch (`${method} ${path}`) {
      case 'GET /':
        return ['text/html', PAGE];
      case 'GET /sdk.js':
        return ['text/javascript', await readFile(files.sdk, 'utf8')];
      case 'GET /scenario.mjs':
        return ['text/javascript', await readFile(files.scenario, 'utf8')];
      case 'GET /given':
        return ['application/json', JSON.stringify({ ...given, loseUrl: `${origin}/lose` })];
      case 'POST /lose':
        await lose();
        return ['text/plain', ''];
      case 'POST /result':
        resultOf(origin).resolve(JSON.parse(body));
        return ['text/plain', ''];
      default:
        return ['text/plain', ''];
    }
  };
  const listen = async () => {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      const [type, text] = await serve(originOf(server), request.method ?? '', request.url ?? '', body);
      response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(text);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return server;
  };
  const [one, two] = await Promise.all([listen(), listen()]);
  return {
    ...{ given, origin: originOf(one), other: originOf(two) },
    result: (origin) => resultOf(origin).promise,
    async close() {
      for (const server of [one, two]) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
    },
  };
}

function originOf(server: ReturnType<typeof createServer>): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface PromiseWithResolver {
  promise: Promise<unknown>;
  resolve: (value: unknown) => void;
}

function withResolver(): PromiseWithResolver {
  let resolve: (value: unknown) => void = () => undefined;
  const promise = new Promise<unknown>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
