import { createHash, randomBytes } from 'node:crypto';

const MARK = 'tft_';

export interface NewToken {
  /** Shown once. */
  token: string;
  /** What is stored: the token has 256 random bits, so a plain hash tells nothing. */
  hash: Buffer;
  /** To tell it by in lists. */
  prefix: string;
}

export function createApiToken(): NewToken {
  const token = MARK + randomBytes(32).toString('base64url');
  return { token, hash: hashApiToken(token), prefix: token.slice(0, MARK.length + 6) };
}

export function hashApiToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export function looksLikeApiToken(token: string): boolean {
  return token.startsWith(MARK);
}
