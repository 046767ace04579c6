/**
 * A raw key as text to be written down: `TARFLEET-1:<name>:<groups>`. The groups are Crockford's base32 (no I, L, O,
 * U) of the 32 bytes and the first 3 bytes of SHA-256 over name, NUL and key, four characters each.
 */
import { createHash } from 'node:crypto';
import { EnvError } from '@tarfleet/kernel';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const PREFIX = 'TARFLEET-1';
const KEY_BYTES = 32;
const CHECK_BYTES = 3;
/** No bit of them is left over. */
const DIGITS = ((KEY_BYTES + CHECK_BYTES) * 8) / 5;

export function formatRecoveryKey(name: string, key: Buffer): string {
  const text = encode(Buffer.concat([key, checkOf(name, key)]));
  return `${PREFIX}:${name}:${(text.match(/.{1,4}/g) ?? []).join('-')}`;
}

/** Upper and lower case, spaces and kinds of dashes do not matter. Throws EnvError for anything mistyped, and quotes nothing of it. */
export function parseRecoveryKey(text: string): { name: string; key: Buffer } {
  // Word processors make other dashes of ours.
  const [prefix, name = '', groups = '', ...more] = text
    .replace(/\s/g, '')
    .replace(/\p{Pd}/gu, '-')
    .split(':');
  if (prefix?.toUpperCase() !== PREFIX || name === '' || more.length > 0) {
    throw new EnvError(
      `A recovery key is ${PREFIX}, a name and groups of characters, with a colon between them.`,
    );
  }
  const digits = groups.toUpperCase().replaceAll('-', '');
  const bytes = digits.length === DIGITS ? decode(digits) : null;
  const key = bytes?.subarray(0, KEY_BYTES);
  if (!bytes || !key) {
    throw new EnvError('The recovery key is not complete, or has characters that none has.');
  }
  const lower = name.toLowerCase();
  if (checkOf(lower, key).equals(bytes.subarray(KEY_BYTES))) return { name: lower, key };
  throw new EnvError('The recovery key is mistyped: its last characters do not fit the rest.');
}

function checkOf(name: string, key: Buffer): Buffer {
  return createHash('sha256').update(`${name}\0`).update(key).digest().subarray(0, CHECK_BYTES);
}

function encode(bytes: Buffer): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >> bits) & 31];
    }
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

/** Null when a character is none of ours. */
function decode(text: string): Buffer | null {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const char of text.replace(/O/g, '0').replace(/[IL]/g, '1')) {
    const digit = ALPHABET.indexOf(char);
    if (digit < 0) return null;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  return Buffer.from(bytes);
}
