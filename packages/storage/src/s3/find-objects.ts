import { AppError } from '@tarfleet/kernel';
import type { StoredObject } from '../types.ts';
import type { S3Calls } from './s3-calls.ts';

/**
 * Every object whose key begins so, by its full key. Keys are asked for URL-encoded: others may have used
 * characters that no XML can hold, and then the list could not be read at all.
 */
export async function* findObjects(
  calls: S3Calls,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<StoredObject> {
  let token: string | undefined;
  do {
    const page = await calls.listObjects(
      {
        ...{ Prefix: prefix, EncodingType: 'url' },
        ...(token === undefined ? {} : { ContinuationToken: token }),
      },
      signal,
    );
    // A server that does not know of it gives the keys as they are, and does not say that they are encoded.
    const decode = page.EncodingType === 'url' ? decodeKey : (key: string) => key;
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const key = Key === undefined ? undefined : decode(Key);
      if (key?.startsWith(prefix)) yield { key, bytes: Size ?? 0, modifiedAt: LastModified ?? null };
    }
    token = page.NextContinuationToken;
    if (page.IsTruncated && token === undefined) {
      throw new AppError(
        'STORAGE_FAILED',
        `The server's answer for ${prefix} is a list that was cut. Is it an S3 endpoint?`,
      );
    }
  } while (token !== undefined);
}

/** A space comes as "+" (Amazon) or "%20"; a "+" always as "%2B". */
function decodeKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    // Bytes that are no text: the name as it was sent is no key of ours, either.
    return encoded;
  }
}
