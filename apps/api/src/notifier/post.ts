import http from 'node:http';
import https from 'node:https';
import { errnoOf } from '@tarfleet/kernel';
import { type AddressGuard, AddressRefused, plainHost } from './address-guard.ts';
import { isFairLiteral, parseUrl } from './check-url.ts';
import { startDeadline } from './deadline.ts';
import type { Outcome } from './outcome.ts';

/** Of an answer no more is read; nothing of it is kept. */
const READ_BYTES = 4096;
const READ_MS = 1_000;

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: string;
  guard: AddressGuard;
  /** From the look-up of the name to the answer's status, in milliseconds. */
  timeoutMs: number;
  /** Ends it at once: the outcome is `stopped`. */
  signal: AbortSignal;
}

/**
 * One POST over a connection of its own, to an address that the guard lets through. Redirects are not followed: they
 * count as failures. Never rejects, and says nothing of the address.
 */
export async function post(options: Post): Promise<Outcome> {
  const url = parseUrl(options.url);
  if (!url || !isFairLiteral(options.guard, url)) return refusal();
  const deadline = startDeadline(options.timeoutMs, options.signal);
  try {
    return judge(await send(url, options, deadline.signal));
  } catch (error) {
    if (options.signal.aborted) return { kind: 'stopped' };
    if (error instanceof AddressRefused) return refusal();
    const words = deadline.over()
      ? `The receiver did not answer within ${options.timeoutMs / 1000} seconds.`
      : wordsFor(errnoOf(error));
    return { kind: 'retry', status: null, error: words };
  } finally {
    deadline.done();
  }
}

function send(url: URL, { headers, body, guard }: Post, signal: AbortSignal): Promise<number> {
  const { request } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', headers, lookup: guard.lookup, agent: false, signal });
    let status: number | undefined;
    // Once there is a status it is the answer, whatever becomes of the rest.
    asked.on('error', (error) => (status === undefined ? reject(error) : resolve(status)));
    asked.on('socket', (socket) => {
      // What was looked at before is what is connected to; should that ever not be so, nothing is said to it.
      socket.once('connect', () => {
        if (!guard.allows(socket.remoteAddress ?? '', plainHost(url.hostname))) {
          asked.destroy(new AddressRefused());
        }
      });
    });
    asked.on('response', (response) => {
      const answered = response.statusCode ?? 0;
      status = answered;
      let bytes = 0;
      const enough = setTimeout(() => response.destroy(), READ_MS);
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > READ_BYTES) response.destroy();
      });
      response.on('error', () => undefined);
      response.on('close', () => {
        clearTimeout(enough);
        resolve(answered);
      });
    });
    asked.end(body);
  });
}

function judge(status: number): Outcome {
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  if (status === 410) {
    return { kind: 'gone', status, error: 'The receiver answered 410: it wants to hear no more.' };
  }
  const redirect = status >= 300 && status < 400;
  const words = redirect
    ? `The receiver answered ${status}; redirects are not followed: give its final address.`
    : `The receiver answered ${status}.`;
  return { kind: 'retry', status, error: words };
}

/** The address may become another one, or be allowed: it is tried again like any other. */
function refusal(): Outcome {
  return { kind: 'retry', status: null, error: new AddressRefused().message };
}

function wordsFor(code: string | undefined): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'The receiver’s host name could not be resolved.';
    case 'ECONNREFUSED':
      return 'The receiver refused the connection.';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'The receiver closed the connection before it answered.';
    default:
      return `The request failed${code === undefined ? '' : ` (${code})`}.`;
  }
}
