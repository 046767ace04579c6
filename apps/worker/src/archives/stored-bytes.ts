import { createHash } from 'node:crypto';
import { type Duplex, type Readable, Transform } from 'node:stream';
import { archiveAad, createDecryptStream } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';

/** An object of a backup: an archive or its index. */
export interface StoredObject {
  key: string;
  role: 'archive' | 'index';
  ids: { backupId: string; artifactId: string };
  /** Of the whole object, as the manifest has it. */
  bytes: number;
  sha256: string;
  /** Null when it is not encrypted. */
  dataKey: Buffer | null;
}

/**
 * The object's bytes as they were before encryption, from the beginning. What changed since the manifest was
 * written is BACKUP_CORRUPTED, at the latest instead of a clean end. The caller ends or destroys the last stream.
 */
export async function openStored(
  storage: Storage,
  object: StoredObject,
  signal: AbortSignal,
  ...steps: Duplex[]
): Promise<Readable> {
  const stored = await storage.get(object.key, { signal });
  const { dataKey: key } = object;
  const decrypt = key ? [createDecryptStream({ key, associatedData: aadOf(object) }, signal)] : [];
  return chain(stored, checkHash(object), ...decrypt, ...steps);
}

export function aadOf({ ids, role }: Pick<StoredObject, 'ids' | 'role'>): Buffer {
  return archiveAad({ ...ids, role });
}

/** Just these bytes of an object, as they are stored. BACKUP_CORRUPTED when it is shorter or gone. */
export async function readPart(
  storage: Storage,
  key: string,
  { start, length }: { start: number; length: number },
  signal: AbortSignal,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    const body = await storage.get(key, { signal, start, length });
    for await (const part of body as AsyncIterable<Buffer>) parts.push(part);
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'OBJECT_NOT_FOUND') throw cause;
    throw new AppError('BACKUP_CORRUPTED', `The object ${key} is gone. Use another backup.`, { cause });
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length === length) return bytes;
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The object ${key} is shorter than its index says. Use another backup.`,
  );
}

/** The last stream of a chain in which any fault destroys all, with that fault. */
function chain(source: Readable, ...steps: Duplex[]): Readable {
  return steps.reduce<Readable>((from, to) => {
    from.on('error', (error) => to.destroy(error));
    to.on('close', () => from.destroy());
    return from.pipe(to);
  }, source);
}

/** Compares the bytes once more while they are used: what changed since a check must not look like a clean end. */
function checkHash({ sha256, key }: StoredObject): Transform {
  const hash = createHash('sha256');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      if (hash.digest('hex') === sha256) return done();
      done(new AppError('BACKUP_CORRUPTED', `The bytes of ${key} are not those that were stored.`));
    },
  });
}
