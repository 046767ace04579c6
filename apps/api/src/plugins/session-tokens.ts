import { errors, jwtVerify, SignJWT } from 'jose';

const ISSUER = 'tarfleet';

export interface SessionTokens {
  /** A JWT (RFC 7519, HS256) for one session; its `jti` is the session's id. */
  issue(session: { id: string; userId: string; expiresAt: Date }): Promise<string>;
  /** Null when the token is not ours, was altered or has expired. Whether the session still stands is in the database. */
  verify(token: string): Promise<{ sessionId: string; userId: string } | null>;
}

export function createSessionTokens(secret: Uint8Array): SessionTokens {
  return {
    issue: ({ id, userId, expiresAt }) =>
      new SignJWT()
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(ISSUER)
        .setAudience(ISSUER)
        .setSubject(userId)
        .setJti(id)
        .setIssuedAt()
        .setExpirationTime(expiresAt)
        .sign(secret),
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, secret, {
          algorithms: ['HS256'],
          issuer: ISSUER,
          audience: ISSUER,
          requiredClaims: ['exp', 'sub', 'jti'],
        });
        return { sessionId: String(payload.jti), userId: String(payload.sub) };
      } catch (error) {
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    },
  };
}
