import { request as httpRequest, type IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { HealthCheck } from '@tarfleet/contracts';
import { errnoOf } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { Found } from '../drivers/driver.ts';

type HttpCheck = Extract<HealthCheck, { type: 'http' }>;

/** Of a body; what is asked for must stand within. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * One GET over a connection that the server itself makes. Redirects are answers like others. Nothing of the body, nor
 * of the URL's query, is repeated in a result: both may hold secrets.
 */
export async function probeHttp(session: Session, check: HttpCheck, signal: AbortSignal): Promise<Found> {
  const url = new URL(check.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = url.protocol === 'https:';
  const port = Number(url.port) || (secure ? 443 : 80);
  const raw = await session.dial({ host, port }, signal);
  const what = `GET ${url.origin}${url.pathname}`;
  try {
    const stream = secure
      ? connectTls({
          socket: raw,
          rejectUnauthorized: check.verifyTls,
          ...(isIP(host) === 0 ? { servername: host } : {}),
        })
      : raw;
    const answer = await get(url, stream, signal);
    return await judge(what, answer, check);
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, detail: `${what} failed: ${errnoOf(error) ?? 'the connection broke off'}` };
  } finally {
    raw.destroy();
  }
}

function get(url: URL, stream: Duplex, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        createConnection: () => stream,
        host: url.hostname,
        path: `${url.pathname}${url.search}`,
        headers: {
          host: url.host,
          accept: '*/*',
          'user-agent': 'tarfleet-health-check',
          connection: 'close',
        },
        signal,
      },
      resolve,
    );
    // Kept after the answer: a connection that breaks later must not end the process.
    request.on('error', reject);
    stream.on('error', reject);
    request.end();
  });
}

async function judge(what: string, answer: IncomingMessage, check: HttpCheck): Promise<Found> {
  const { statuses, bodyContains } = check;
  const status = answer.statusCode ?? 0;
  answer.on('error', () => undefined);
  const wanted = statuses.length > 0 ? statuses.join(' or ') : '200 to 299';
  const fits = statuses.length > 0 ? statuses.includes(status) : status >= 200 && status <= 299;
  const detail = `${what} answered ${status}`;
  if (!fits) return { ok: false, detail: `${detail}, not ${wanted}` };
  if (bodyContains === null) return { ok: true, detail };
  const body = await readBody(answer);
  return body.includes(Buffer.from(bodyContains))
    ? { ok: true, detail: `${detail} with the text that it should have` }
    : { ok: false, detail: `${detail}, but its body lacks the text that it should have` };
}

async function readBody(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= MAX_BODY_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES);
}
