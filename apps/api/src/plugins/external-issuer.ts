import { AppError } from '@tarfleet/kernel';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

export interface ExternalIssuer {
  issuer: string;
  /** The e-mail address that the token vouches for, in lower case; null when the token is not valid here. */
  verify(token: string): Promise<string | null>;
}

export interface ExternalIssuerOptions {
  jwksUrl: string;
  issuer: string;
  audience: string;
}

/** Signatures by key pairs alone: a public key must never pass for a shared secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** JWTs of another issuer, checked with the keys that it publishes (RFC 7517). Keys are fetched when they are first needed. */
export function createExternalIssuer(options: ExternalIssuerOptions): ExternalIssuer {
  const keys = createRemoteJWKSet(new URL(options.jwksUrl), { timeoutDuration: 5_000 });
  return {
    issuer: options.issuer,
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, keys, {
          algorithms: ALGORITHMS,
          issuer: options.issuer,
          audience: options.audience,
          requiredClaims: ['exp'],
          clockTolerance: 5,
        });
        // An address that nobody checked would let anyone be anyone.
        if (typeof payload.email !== 'string' || payload.email_verified === false) return null;
        return payload.email.toLowerCase();
      } catch (error) {
        if (isUnreachable(error)) {
          throw new AppError(
            'UNAVAILABLE',
            'The keys of the token issuer cannot be fetched; try again in a moment.',
            {
              retryable: true,
              cause: error,
            },
          );
        }
        return null;
      }
    },
  };
}

function isUnreachable(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true;
  // jose reports a failed fetch as fetch does, and an answer other than 200 as its bare base class.
  if (!(error instanceof errors.JOSEError)) return true;
  return error.code === 'ERR_JOSE_GENERIC';
}
