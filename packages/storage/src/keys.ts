import { randomBytes } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';

const KEY = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;
/** S3's limit is 1024 bytes with the destination's own prefix; file systems allow 255 a name, part suffix included. */
const LONGEST_KEY = 800;
const LONGEST_NAME = 200;

/** What an upload to a folder is called until it is whole; no key may look like it. */
export const PART_NAME = /\.[0-9a-f]{16}\.part$/;

/** A new name beside the target for what is not whole yet. */
export function partPath(target: string): string {
  return `${target}.${randomBytes(8).toString('hex')}.part`;
}

/** Whether a name that was found in a destination can be a key of ours. */
export function isKey(key: string): boolean {
  return (
    KEY.test(key) &&
    key.length <= LONGEST_KEY &&
    !PART_NAME.test(key) &&
    key.split('/').every((name) => name !== '.' && name !== '..' && name.length <= LONGEST_NAME)
  );
}

/** A found name as `list` gives it out: what is no key is marked, and shown byte by byte, so that no terminal obeys it. */
export function listedName(name: Buffer): { key: string; foreign: boolean } {
  const text = name.toString('latin1');
  if (isKey(text)) return { key: text, foreign: false };
  const shown = text.replace(
    /[^A-Za-z0-9._/-]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return { key: shown, foreign: true };
}

/** Throws STORAGE_FAILED for a key that some destination could not hold, or that leads out of it. */
export function assertKey(key: string): void {
  if (isKey(key)) return;
  throw new AppError(
    'STORAGE_FAILED',
    `"${key.slice(0, 100)}" cannot be the key of an object: names of letters, digits, ".", "_" and "-", parted by "/".`,
  );
}

/** The prefix as a folder: empty, or with one slash at its end, so that `a` never means `ab/...`. */
export function toFolder(prefix: string): string {
  const folder = prefix.replace(/\/+$/, '');
  if (folder === '') return '';
  assertKey(folder);
  return `${folder}/`;
}
