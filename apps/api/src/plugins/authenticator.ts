import type { Database, UserRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { decodeJwt } from 'jose';
import { type Actor, lowerRole, type Role } from './actor.ts';
import { hashApiToken, looksLikeApiToken } from './api-tokens.ts';
import type { ExternalIssuer } from './external-issuer.ts';
import type { SessionTokens } from './session-tokens.ts';

export interface Credentials {
  authorization: string | undefined;
  apiToken: string | undefined;
  cookie: string | undefined;
}

export interface AuthenticatorOptions {
  db: Pick<Database, 'sessions' | 'apiTokens' | 'users'>;
  sessionTokens: SessionTokens;
  externalIssuer?: ExternalIssuer;
}

/** Finds out who asks. What a request carries openly wins over the cookie that a browser adds by itself. */
export function createAuthenticator(options: AuthenticatorOptions): (given: Credentials) => Promise<Actor> {
  const { db, sessionTokens, externalIssuer } = options;

  const byApiToken = async (token: string): Promise<Actor | null> => {
    const found = await db.apiTokens.authenticate(hashApiToken(token));
    if (!found) return null;
    return {
      ...actor(found.user, found.token.role),
      via: 'token',
      tokenId: found.token.id,
      tokenName: found.token.name,
    };
  };

  const bySession = async (token: string, via: 'session' | 'cookie'): Promise<Actor | null> => {
    const claims = await sessionTokens.verify(token);
    const found = claims && (await db.sessions.authenticate(claims.sessionId));
    if (!found || found.user.id !== claims.userId) return null;
    return { ...actor(found.user, null), via, sessionId: found.session.id };
  };

  const byExternal = async (token: string, issuer: ExternalIssuer): Promise<Actor | null> => {
    const email = await issuer.verify(token);
    const found = email === null ? null : await db.users.findWithPassword(email);
    if (!found || found.user.disabledAt) return null;
    return { ...actor(found.user, null), via: 'external' };
  };

  const byBearer = (token: string): Promise<Actor | null> => {
    if (looksLikeApiToken(token)) return byApiToken(token);
    const external = externalIssuer && issuerOf(token) === externalIssuer.issuer ? externalIssuer : null;
    return external ? byExternal(token, external) : bySession(token, 'session');
  };

  return async ({ authorization, apiToken, cookie }) => {
    const found = authorization
      ? await byBearer(bearerOf(authorization))
      : apiToken
        ? await byApiToken(apiToken)
        : cookie
          ? await bySession(cookie, 'cookie')
          : undefined;
    if (found) return found;
    throw new AppError(
      'UNAUTHENTICATED',
      found === undefined
        ? 'Sign in with POST /api/auth/login, or send a token in the Authorization or X-API-Token header.'
        : 'The token is not valid, has expired or was revoked. Sign in again, or use another token.',
    );
  };
}

function bearerOf(authorization: string): string {
  const match = /^Bearer +(\S+) *$/i.exec(authorization);
  if (match?.[1]) return match[1];
  throw new AppError('UNAUTHENTICATED', 'The Authorization header must read: Bearer <token>.');
}

/** Unchecked: it only decides whose keys check the rest. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    // Not a JWT at all; the check that follows refuses it.
    return undefined;
  }
}

function actor(user: UserRecord, cap: Role | null): Pick<Actor, 'userId' | 'email' | 'role' | 'seesAll'> {
  return {
    userId: user.id,
    email: user.email,
    role: cap ? lowerRole(cap, user.role) : user.role,
    seesAll: user.role === 'admin',
  };
}
