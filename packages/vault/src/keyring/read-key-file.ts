import { readFileSync } from 'node:fs';
import { EnvError, errnoOf } from '@tarfleet/kernel';

const KEY_BYTES = 32;
const BASE64 = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const HEX = /^[0-9a-fA-F]{64}$/;

/** A raw key from a file of its own: 32 bytes as they are, in base64 or in hex. Throws EnvError without its content. */
export function readKeyFile({ name, path }: { name: string; path: string }): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw new EnvError(
      `The file ${path} of the key ${name} (KEYRING_FILE) cannot be read: ${errnoOf(error) ?? 'unknown fault'}.`,
    );
  }
  if (content.length === KEY_BYTES) return content;
  const text = content.toString('latin1').trim();
  if (BASE64.test(text)) return Buffer.from(text, 'base64');
  if (HEX.test(text)) return Buffer.from(text, 'hex');
  throw new EnvError(
    `The file ${path} of the key ${name} (KEYRING_FILE) holds no key: 32 bytes are needed, as they are, in base64 or in hex.`,
  );
}
