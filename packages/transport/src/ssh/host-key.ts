import { createHash } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { ServerHostKeyAlgorithm } from 'ssh2';

/** `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it. `key` is the public key blob (RFC 4253, 6.6). */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/**
 * A server has a key of each kind and shows the one that the client likes best; the pinned one may be another.
 * Tried one by one, before a key is called changed.
 */
export const KEY_FAMILIES: readonly ServerHostKeyAlgorithm[][] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
];

/** The reason to refuse a host that shows `seen` where `pinned` was recorded; null when it is the right one. */
export function hostKeyFault(
  label: string,
  pinned: string | null,
  seen: string,
  pinning: 'required' | 'first-sight',
): AppError | null {
  const details = { fingerprint: seen };
  if (pinned === null) {
    if (pinning === 'first-sight') return null;
    return new AppError(
      'HOST_KEY_NOT_PINNED',
      `The host key of ${label} is not pinned yet. It shows ${seen}: compare that with the server's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then store it with the server or run its connection test.`,
      { details },
    );
  }
  if (pinned === seen) return null;
  return new AppError(
    'HOST_KEY_CHANGED',
    `The host key of ${label} has changed: ${pinned} is pinned, ${seen} was shown. If the server was reinstalled, compare the new fingerprint on the machine itself and store it with the server; otherwise someone may be in between. No credentials were sent.`,
    { details },
  );
}
