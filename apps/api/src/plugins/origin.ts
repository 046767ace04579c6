import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses what a foreign page makes a browser send with the session cookie. Browsers name the page's origin in
 * every unsafe request; a request that names none comes from a program, which no foreign page steers.
 */
export function assertSameOrigin(request: FastifyRequest, publicUrl: string | undefined): void {
  if (SAFE.has(request.method)) return;
  const { origin, 'sec-fetch-site': site } = request.headers;
  const ownPage = origin !== undefined && isOwn(origin, request.host, publicUrl);
  const foreignOrigin = origin !== undefined && !ownPage;
  const foreignSite = site !== undefined && site !== 'same-origin' && site !== 'none' && !ownPage;
  if (!foreignOrigin && !foreignSite) return;
  throw new AppError(
    'ORIGIN_REFUSED',
    'This request comes from a page of another site. Send it from the API’s own address, or with a token instead of the cookie.',
  );
}

function isOwn(origin: string, host: string, publicUrl: string | undefined): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (publicUrl && url.origin === new URL(publicUrl).origin) return true;
  return url.host === host.toLowerCase() && origin === url.origin;
}
