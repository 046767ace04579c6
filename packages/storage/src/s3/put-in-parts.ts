import type { CompletedPart } from '@aws-sdk/client-s3';
import { AppError, type Logger, withRetry } from '@tarfleet/kernel';
import type { Part, PartReader } from '../part-reader.ts';
import type { Patience } from '../patience.ts';
import { assertStored, type Expected, md5, multipartEtag, whatIsThere } from './commit.ts';
import { MOST_PARTS, partsAtOnce } from './part-sizes.ts';
import type { S3Calls } from './s3-calls.ts';
import { cleanUp, endUpload, findUploads, type UploadRef } from './upload-cleanup.ts';

/** Starting and completing an upload are not interrupted: nobody could tell then what is left. Both have time limits. */
const uninterrupted = new AbortController().signal;

export interface PartedObject {
  calls: S3Calls;
  key: string;
  /** Read already. */
  first: Part;
  reader: PartReader;
  /** Makes the reader fail, so that nobody waits for a stream that is no longer wanted. */
  stopReading(error: unknown): void;
  beforeCommit: (() => Promise<void>) | undefined;
  signal: AbortSignal;
  patience: Patience;
  logger: Logger | undefined;
}

/** Stores a stream as a multipart upload. On failure every request of it has ended, and then the upload itself. */
export async function putInParts(object: PartedObject): Promise<void> {
  const { calls, key, signal, logger } = object;
  const upload = await start(object);
  let expected: Expected | undefined;
  try {
    signal.throwIfAborted();
    const sent = await sendParts(object, upload);
    await object.beforeCommit?.();
    signal.throwIfAborted();
    expected = { key, bytes: object.reader.result().bytes, etag: multipartEtag(sent.digests) };
    const input = { Key: key, UploadId: upload.uploadId, MultipartUpload: { Parts: sent.parts } };
    await withRetry(() => calls.completeUpload(input, uninterrupted), object.patience);
  } catch (error) {
    let stored = false;
    await cleanUp(
      async (own) => {
        await endUpload(calls, upload, own);
        // A completion whose answer was lost may have come through: then the upload is gone, and the object there.
        stored = expected !== undefined && (await whatIsThere(calls, expected, own)) === 'ours';
      },
      key,
      logger,
    );
    if (!stored) throw whenEnded(error, key);
    return;
  }
  try {
    await assertStored(calls, expected, uninterrupted);
  } catch (error) {
    await cleanUp((own) => calls.deleteObject({ Key: key }, own), key, logger);
    throw error;
  }
}

async function start({ calls, key, patience, logger, signal }: PartedObject): Promise<UploadRef> {
  let uploadId: string | undefined;
  let unsure = false;
  try {
    const created = await withRetry(
      () =>
        calls.createUpload({ Key: key }, uninterrupted).catch((error: unknown) => {
          unsure = true;
          throw error;
        }),
      { ...patience, signal },
    );
    uploadId = created.UploadId;
    if (!uploadId)
      throw new AppError('STORAGE_FAILED', `The server started an upload of ${key} without an id.`);
    return { key, uploadId };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    // An upload whose id was lost on its way. No other writer has this key: it holds the attempt's token.
    if (unsure) {
      await cleanUp(
        async (own) => {
          for await (const found of findUploads(calls, key, own)) {
            if (found.key === key && found.uploadId !== uploadId) await endUpload(calls, found, own);
          }
        },
        key,
        logger,
      );
    }
  }
}

/** Sends all parts, a few side by side. When it ends, well or not, none is on its way any more. */
async function sendParts(
  { calls, first, reader, stopReading, signal }: PartedObject,
  upload: UploadRef,
): Promise<{ parts: CompletedPart[]; digests: Buffer[] }> {
  const parts: CompletedPart[] = [];
  const digests: Buffer[] = [];
  const inFlight = new Set<Promise<void>>();
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });

  const send = async ({ number, content, release }: Part): Promise<void> => {
    try {
      const digest = md5(content);
      const input = {
        Key: upload.key,
        UploadId: upload.uploadId,
        PartNumber: number,
        Body: content,
        ContentLength: content.length,
        ContentMD5: digest.toString('base64'),
      };
      const { ETag } = await calls.uploadPart(input, stop.signal);
      if (!ETag)
        throw new AppError('STORAGE_FAILED', `The server took a part of ${upload.key} without an ETag.`);
      parts[number - 1] = { PartNumber: number, ETag };
      digests[number - 1] = digest;
    } catch (error) {
      const fault = whenEnded(error, upload.key);
      // The first failure ends the others and the reading, and is the one that they all show.
      if (!stop.signal.aborted) {
        stop.abort(fault);
        stopReading(fault);
      }
    } finally {
      release();
    }
  };

  try {
    for (let part: Part | null = first; part; part = await reader.next()) {
      // A stream that ended on a part's edge.
      if (part.content.length === 0) break;
      if (part.number > MOST_PARTS) throw tooLong(upload.key);
      while (inFlight.size >= partsAtOnce(part.content.length)) await Promise.race(inFlight);
      stop.signal.throwIfAborted();
      const sending = send(part).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
    }
    await Promise.all(inFlight);
    stop.signal.throwIfAborted();
    return { parts, digests };
  } catch (error) {
    if (!stop.signal.aborted) stop.abort(error);
    await Promise.all(inFlight);
    throw stop.signal.reason;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function whenEnded(error: unknown, key: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'OBJECT_NOT_FOUND') return error;
  return new AppError('STORAGE_FAILED', `The upload of ${key} was ended by somebody else.`, { cause: error });
}

function tooLong(key: string): AppError {
  return new AppError(
    'STORAGE_FAILED',
    `The stream for ${key} is far longer than was guessed: it needs more than ${MOST_PARTS} parts.`,
  );
}
