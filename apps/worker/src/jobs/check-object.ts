import { createHash } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';

export interface ExpectedObject {
  key: string;
  bytes: number;
  sha256: string;
}

export interface ObjectCheck {
  status: 'passed' | 'missing' | 'size_mismatch' | 'checksum_mismatch';
  message: string;
}

/**
 * Reads a stored object to its end and compares size and SHA-256. What is wrong with the object is the result;
 * what is wrong with the destination is thrown.
 */
export async function checkObject(
  storage: Storage,
  expected: ExpectedObject,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<ObjectCheck> {
  const wrong = await checkSize(storage, expected, signal);
  if (wrong) return wrong;
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const body = await storage.get(expected.key, { signal });
    for await (const chunk of body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes(chunk.length);
    }
  } catch (error) {
    if (error instanceof AppError && error.code === 'OBJECT_NOT_FOUND') {
      return { status: 'missing', message: `The object ${expected.key} is gone.` };
    }
    throw error;
  }
  return judgeBytes(expected, { bytes, sha256: hash.digest('hex') });
}

/** What the destination says of an object that is gone or of another size; null when there is one of that size. */
export async function checkSize(
  storage: Storage,
  { key, bytes }: ExpectedObject,
  signal: AbortSignal,
): Promise<ObjectCheck | null> {
  const found = await storage.stat(key, signal);
  if (!found) return { status: 'missing', message: `The object ${key} is gone.` };
  if (found.bytes === bytes) return null;
  return {
    status: 'size_mismatch',
    message: `The object ${key} has ${found.bytes} bytes where ${bytes} were stored.`,
  };
}

/** All of an object was read: so many bytes, with this SHA-256. */
export function judgeBytes(
  expected: ExpectedObject,
  found: Pick<ExpectedObject, 'bytes' | 'sha256'>,
): ObjectCheck {
  if (found.bytes === expected.bytes && found.sha256 === expected.sha256) {
    return { status: 'passed', message: 'Size and SHA-256 agree.' };
  }
  return {
    status: 'checksum_mismatch',
    message: `The bytes of ${expected.key} are not those that were stored: SHA-256 differs.`,
  };
}
