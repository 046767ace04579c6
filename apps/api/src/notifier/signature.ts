import { createHmac, hkdfSync, randomBytes } from 'node:crypto';

/**
 * Standard Webhooks (https://www.standardwebhooks.com): a symmetric secret is `whsec_` and base64 of 24 to 64 bytes,
 * and signs `id.timestamp.body` with HMAC-SHA256.
 */
const PREFIX = 'whsec_';
const NEW_BYTES = 32;

export function newSecret(): string {
  return PREFIX + randomBytes(NEW_BYTES).toString('base64');
}

/** Whether a text is such a secret, in the one spelling of its bytes. */
export function isSecret(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false;
  const bytes = keyOf(text);
  return bytes.length >= 24 && bytes.length <= 64 && PREFIX + bytes.toString('base64') === text;
}

/** The header `webhook-signature`. `seconds` is the Unix time of `webhook-timestamp`. */
export function signatureOf(secret: string, id: string, seconds: number, body: string): string {
  return `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${seconds}.${body}`).digest('base64')}`;
}

export type RequestSecrets = (projectId: number, url: string) => string;

/**
 * Secrets for addresses that a request names, which have none of their own: one for each address in each project, so
 * that whoever receives at one of them can sign nothing for another. The same on every process; stored nowhere.
 */
export function createRequestSecrets(secret: Uint8Array): RequestSecrets {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'tarfleet:request-webhooks:v1', 32));
  return (projectId, url) =>
    PREFIX +
    createHmac('sha256', key)
      .update(JSON.stringify([projectId, new URL(url).href]))
      .digest('base64');
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.slice(PREFIX.length), 'base64');
}
