import { createHash } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { S3Calls } from './s3-calls.ts';

/** What an object must look like to be the one that we sent. */
export interface Expected {
  key: string;
  bytes: number;
  /** Without quotes. */
  etag: string;
}

/** The ETag of an object that was put in one piece: the MD5 of its content, where the server does not encrypt. */
export function md5(content: Buffer): Buffer {
  return createHash('md5').update(content).digest();
}

/** The ETag of a multipart object: the MD5 of its parts' MD5s, and how many they are. */
export function multipartEtag(parts: readonly Buffer[]): string {
  return `${md5(Buffer.concat(parts)).toString('hex')}-${parts.length}`;
}

/**
 * What lies under the key: `ours` for an object of our size and ETag, `none`, or `other` (also where the server
 * encrypts and so has ETags of its own making: then nothing is known).
 */
export async function whatIsThere(
  calls: S3Calls,
  expected: Expected,
  signal: AbortSignal,
): Promise<'ours' | 'other' | 'none'> {
  try {
    const head = await calls.headObject({ Key: expected.key }, signal);
    const same =
      head.ETag?.replaceAll('"', '') === expected.etag && (head.ContentLength ?? 0) === expected.bytes;
    return same ? 'ours' : 'other';
  } catch (error) {
    if (error instanceof AppError && error.code === 'OBJECT_NOT_FOUND') return 'none';
    throw error;
  }
}

/** Looks at what a commit has made, before anybody relies on it. */
export async function assertStored(calls: S3Calls, expected: Expected, signal: AbortSignal): Promise<void> {
  const head = await calls.headObject({ Key: expected.key }, signal);
  const found = head.ContentLength ?? 0;
  if (found === expected.bytes) return;
  throw new AppError(
    'STORAGE_FAILED',
    `The server stored ${found} bytes of ${expected.key} where ${expected.bytes} were sent.`,
    { retryable: true },
  );
}
