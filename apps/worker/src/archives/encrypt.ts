import { type Duplex, PassThrough } from 'node:stream';
import { createEncryptStream } from '@tarfleet/archive';
import { aadOf, type StoredObject } from './stored-bytes.ts';

/** What is stored: the bytes as they are, or encrypted. */
export function encryptOrPass(
  { dataKey, ...object }: Pick<StoredObject, 'dataKey' | 'ids' | 'role'>,
  signal: AbortSignal,
): Duplex {
  if (dataKey === null) return new PassThrough();
  return createEncryptStream({ key: dataKey, associatedData: aadOf(object) }, signal);
}
