import type { UserRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { createPasswords } from '@tarfleet/vault';
import { Type } from 'typebox';
import type { Api } from '../../api-type.ts';
import type { AppDeps } from '../../deps.ts';
import { actorOf } from '../../plugins/actor.ts';
import { noteLogin } from '../../plugins/audit-note.ts';
import { assertSameOrigin } from '../../plugins/origin.ts';
import type { CountUse } from '../../plugins/rate-limits.ts';
import { clearSessionCookie, setSessionCookie } from '../../plugins/session-cookie.ts';
import type { SessionTokens } from '../../plugins/session-tokens.ts';
import { ok } from '../answers.ts';
import { NoBody, strict } from '../shapes.ts';
import { login } from './login.ts';
import { memberships } from './memberships.ts';
import { LoginAnswer, LoginBody, MeAnswer } from './schemas.ts';

const tags = ['Sign-in'];

export function authRoutes(
  app: Api,
  deps: AppDeps & { sessionTokens: SessionTokens; countUse: CountUse },
): void {
  const { config, db } = deps;
  const passwords = createPasswords();

  app.post(
    '/api/auth/login',
    {
      config: {
        public: true,
        audit: { action: 'auth.login', otherwise: 'auth.login_failed', target: 'user' },
        rateLimit: 'login',
        errors: ['INVALID_CREDENTIALS', 'ORIGIN_REFUSED', 'UNAVAILABLE'],
      },
      schema: { tags, summary: 'Open a session', body: LoginBody, response: { 200: LoginAnswer } },
    },
    async (request, reply) => {
      assertSameOrigin(request, config.PUBLIC_URL);
      const attempt = {
        ...request.body,
        address: request.ip,
        tried: (user: UserRecord) => noteLogin(request, user, false),
      };
      const { token, expiresAt, user } = await login({ ...deps, passwords }, attempt, reply);
      noteLogin(request, user, true);
      setSessionCookie(request, reply, config, { token, expiresAt });
      return ok({
        token,
        token_type: 'Bearer' as const,
        expires_at: expiresAt.toISOString(),
        user: { id: user.id, email: user.email, role: user.role },
      });
    },
  );

  app.post(
    '/api/auth/logout',
    {
      config: { audit: { action: 'auth.logout', target: 'session' }, errors: ['NOT_SUPPORTED'] },
      schema: {
        tags,
        summary: 'Close this session',
        body: NoBody,
        response: { 200: strict({ success: Type.Literal(true), message: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { sessionId, via } = actorOf(request);
      if (sessionId === undefined) {
        throw new AppError(
          'NOT_SUPPORTED',
          via === 'token'
            ? 'An API token is not a session; delete it under /api/auth/tokens.'
            : 'This token comes from another issuer; sign out there.',
        );
      }
      await db.sessions.revoke(sessionId);
      clearSessionCookie(request, reply, config);
      return { success: true as const, message: 'The session is closed.' };
    },
  );

  app.get(
    '/api/auth/me',
    { schema: { tags, summary: 'Who this request acts as', response: { 200: MeAnswer } } },
    async (request) => {
      const { userId: id, email, role, via } = actorOf(request);
      return ok({ id, email, role, via, projects: await memberships(db, actorOf(request)) });
    },
  );
}
