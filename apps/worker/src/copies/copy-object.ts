/** One object from one destination to another, as it is: nothing is opened, and no key is needed. */
import { createHash } from 'node:crypto';
import { pipeline, type Readable, Transform } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { checkObject, type ExpectedObject, judgeBytes } from '../jobs/check-object.ts';

export interface CopyPlaces {
  source: Storage;
  target: Storage;
  signal: AbortSignal;
  /** Before an object becomes visible at the target; its rejection discards it. */
  beforeCommit(): Promise<void>;
}

/**
 * Copies an object in bounded memory, unless it is there already and right: then `kept`. One that is there and is not
 * right is replaced. BACKUP_CORRUPTED when the source does not hold what the manifest says: nothing is stored then.
 */
export async function copyObject(
  { source, target, signal, beforeCommit }: CopyPlaces,
  object: ExpectedObject,
  onBytes: (done: number) => void,
): Promise<'copied' | 'kept'> {
  let read = 0;
  const found = await checkObject(target, object, signal, (bytes) => {
    read += bytes;
    onBytes(read);
  });
  if (found.status === 'passed') return 'kept';
  const { key, bytes } = object;
  const reread = async (): Promise<Readable> =>
    pipeline(await openSource(source, key, signal), checked(object, onBytes), () => {
      // Whatever happens to one of them happens to the other; `put` says what it was.
    });
  const stored = await target.put(key, await reread(), { signal, sizeHint: bytes, beforeCommit, reread });
  // The bytes that left here were right, so the target counts others than it was given.
  const judged = judgeBytes(object, stored);
  if (judged.status === 'passed') return 'copied';
  throw new AppError('STORAGE_FAILED', `The copy of ${key} is not what was sent: ${judged.message}`);
}

/** OBJECT_NOT_FOUND of the source says that the backup is damaged, not that the destination is. */
export async function openSource(source: Storage, key: string, signal: AbortSignal): Promise<Readable> {
  try {
    return await source.get(key, { signal });
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'OBJECT_NOT_FOUND') throw cause;
    throw new AppError('BACKUP_CORRUPTED', `The object ${key} is gone from the backup's own destination.`, {
      cause,
    });
  }
}

/** Passes bytes on; an end that comes too early, too late or after other bytes is an error instead. */
function checked(object: ExpectedObject, onBytes: (done: number) => void): Transform {
  const hash = createHash('sha256');
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes(Math.min(bytes, object.bytes));
      done(null, chunk);
    },
    flush(done) {
      if (judgeBytes(object, { bytes, sha256: hash.digest('hex') }).status === 'passed') return done();
      done(
        new AppError(
          'BACKUP_CORRUPTED',
          `The bytes of ${object.key} at the backup's own destination are not those that were stored. Nothing damaged is copied.`,
        ),
      );
    },
  });
}
