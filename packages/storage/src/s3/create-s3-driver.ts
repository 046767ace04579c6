import { Readable } from 'node:stream';
import type { S3DestinationConfig } from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import { downloadStream } from '../download-stream.ts';
import { assertKey, listedName, toFolder } from '../keys.ts';
import { ownBody } from '../owned-body.ts';
import { createPartReader } from '../part-reader.ts';
import type { Patience } from '../patience.ts';
import type { Driver, OpenedObject, StoredObject } from '../types.ts';
import { withRetries, withTranslatedErrors } from './call-decorators.ts';
import { findObjects } from './find-objects.ts';
import { partSize } from './part-sizes.ts';
import { presign } from './presign.ts';
import { putInParts } from './put-in-parts.ts';
import { createWhole, putWhole } from './put-whole.ts';
import { createS3Calls } from './s3-calls.ts';
import { createS3Clients, type S3Keys, type S3Timeouts } from './s3-clients.ts';
import { faultOf, translateS3Error } from './s3-errors.ts';
import { endUpload, findUploads } from './upload-cleanup.ts';

export interface S3DriverOptions {
  config: S3DestinationConfig;
  keys: S3Keys;
  timeouts: S3Timeouts;
  patience: Patience;
  logger?: Logger;
}

/** Objects in a bucket of Amazon S3 or a server that speaks the same, each under the destination's prefix. */
export function createS3Driver({ config, keys, timeouts, patience, logger }: S3DriverOptions): Driver {
  const clients = createS3Clients(config, keys, timeouts);
  const place = { bucket: config.bucket, endpoint: config.endpoint ?? config.region };
  const calls = withRetries(withTranslatedErrors(createS3Calls(clients, config.bucket), place), patience);
  const base = config.prefix === undefined ? '' : `${config.prefix}/`;

  function fullKey(key: string): string {
    assertKey(key);
    return base + key;
  }

  /** Null when there is no such object; the answer has no body, so a missing bucket must be asked for. */
  async function head(key: string, signal: AbortSignal): Promise<Omit<StoredObject, 'key'> | null> {
    try {
      const answer = await calls.headObject({ Key: key }, signal);
      return { bytes: answer.ContentLength ?? 0, modifiedAt: answer.LastModified ?? null };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    try {
      await calls.headBucket({}, signal);
    } catch (error) {
      if (isMissing(error)) {
        throw new AppError(
          'DESTINATION_NOT_FOUND',
          `The bucket ${place.bucket} at ${place.endpoint} does not exist. Create it, or correct the destination.`,
        );
      }
      // Keys without the right to ask for the bucket: then the object's own answer has to do.
      if (!(error instanceof AppError) || error.code !== 'DESTINATION_AUTH_FAILED') throw error;
    }
    return null;
  }

  return {
    async put(key, body, { signal, sizeHint, beforeCommit }) {
      const owned = ownBody(body, signal);
      try {
        signal.throwIfAborted();
        const object = { calls, key: fullKey(key) };
        const reader = createPartReader(owned.chunks, (number) => partSize(number, sizeHint));
        const first = await reader.next();
        if (first?.last) {
          await beforeCommit?.();
          signal.throwIfAborted();
          await putWhole({ ...object, content: first.content }, signal, logger);
        } else if (first) {
          const stopReading = owned.stop;
          await putInParts({ ...object, first, reader, stopReading, beforeCommit, signal, patience, logger });
        }
        return reader.result();
      } catch (error) {
        owned.stop(error);
        signal.throwIfAborted();
        throw error;
      } finally {
        owned.release();
      }
    },

    async create(key, body, signal) {
      signal.throwIfAborted();
      await createWhole({ calls, key: fullKey(key), content: body }, signal);
    },

    async open(key, { signal, start = 0, length }) {
      signal.throwIfAborted();
      const Key = fullKey(key);
      const missing = new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination.`);
      if (length === 0) {
        if ((await head(Key, signal)) === null) throw missing;
        return nothing();
      }
      const ranged = start > 0 || length !== undefined;
      const end = length === undefined ? '' : String(start + length - 1);
      try {
        const answer = await calls.getObject(
          { Key, ...(ranged ? { Range: `bytes=${start}-${end}` } : {}) },
          signal,
        );
        const { Body: body, ContentLength: bytes, ContentRange: range, ETag: version = null } = answer;
        if (!(body instanceof Readable) || bytes === undefined)
          throw unusable(key, 'does not say how long it is');
        if (ranged && !range?.startsWith(`bytes ${start}-`)) {
          body.destroy();
          throw unusable(key, 'is not the part of it that was asked for');
        }
        const translate = (error: unknown): AppError => translateS3Error(error, place);
        const { idleMs } = timeouts;
        const opened = downloadStream({ body, bytes, idleMs, signal, key, translate });
        return { body: opened, bytes, version };
      } catch (error) {
        // The range begins at the object's end or behind it.
        if (faultOf(error).status === 416) return nothing();
        throw isMissing(error) ? missing : error;
      }
    },

    link: (key, options) => presign(clients, { bucket: config.bucket, key: fullKey(key), ...options }),

    async stat(key, signal) {
      signal.throwIfAborted();
      const found = await head(fullKey(key), signal);
      return found && { key, ...found };
    },

    async *list(prefix, signal) {
      signal.throwIfAborted();
      const folder = base + toFolder(prefix);
      for await (const { key, ...found } of findObjects(calls, folder, signal)) {
        // Some programs store an empty object in the place of a folder: the destination's own is nothing in it.
        if (key !== folder || found.bytes > 0)
          yield { ...listedName(Buffer.from(key.slice(base.length))), ...found };
      }
    },

    async delete(key, signal) {
      signal.throwIfAborted();
      await calls.deleteObject({ Key: fullKey(key) }, signal);
    },

    async abortUploads(prefix, signal) {
      signal.throwIfAborted();
      let count = 0;
      for await (const upload of findUploads(calls, base + toFolder(prefix), signal)) {
        await endUpload(calls, upload, signal);
        count += 1;
      }
      return count;
    },

    async *listUploads(prefix, signal) {
      signal.throwIfAborted();
      for await (const { key, startedAt } of findUploads(calls, base + toFolder(prefix), signal)) {
        yield { ...listedName(Buffer.from(key.slice(base.length))), bytes: 0, modifiedAt: startedAt };
      }
    },

    async close() {
      clients.close();
    },
  };
}

function nothing(): OpenedObject {
  return { body: Readable.from([]), bytes: 0, version: null };
}

function isMissing(error: unknown): boolean {
  return error instanceof AppError && error.code === 'OBJECT_NOT_FOUND';
}

function unusable(key: string, what: string): AppError {
  return new AppError('STORAGE_FAILED', `The server's answer for ${key} ${what}. Is it an S3 endpoint?`);
}
