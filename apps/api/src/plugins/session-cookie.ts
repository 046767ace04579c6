import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiConfig } from '../env.ts';

export const SESSION_COOKIE = 'tarfleet_session';

export function setSessionCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  config: Pick<ApiConfig, 'PUBLIC_URL'>,
  session: { token: string; expiresAt: Date },
): void {
  reply.setCookie(SESSION_COOKIE, session.token, {
    ...attributes(request, config),
    expires: session.expiresAt,
  });
}

export function clearSessionCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  config: Pick<ApiConfig, 'PUBLIC_URL'>,
): void {
  reply.clearCookie(SESSION_COOKIE, attributes(request, config));
}

function attributes(request: FastifyRequest, config: Pick<ApiConfig, 'PUBLIC_URL'>) {
  const secure = request.protocol === 'https' || config.PUBLIC_URL?.startsWith('https:') === true;
  return { path: '/', httpOnly: true, sameSite: 'strict', secure } as const;
}
