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
  const found = await storage.stat(expected.key, signal);
  if (!found) return { status: 'missing', message: `The object ${expected.key} is gone.` };
  if (found.bytes !== expected.bytes) {
    return {
      status: 'size_mismatch',
      message: `The object ${expected.key} has ${found.bytes} bytes where ${expected.bytes} were stored.`,
    };
  }
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
  if (bytes !== expected.bytes || hash.digest('hex') !== expected.sha256) {
    return {
      status: 'checksum_mismatch',
      message: `The bytes of ${expected.key} are not those that were stored: SHA-256 differs.`,
    };
  }
  return { status: 'passed', message: 'Size and SHA-256 agree.' };
}
