import { AppError, type Logger, timeLimit } from '@tarfleet/kernel';
import type { S3Calls } from './s3-calls.ts';

const CLEANUP_MS = 60_000;
const ROUNDS = 5;

export interface UploadRef {
  key: string;
  uploadId: string;
}

export interface FoundUpload extends UploadRef {
  /** Null where the server does not say. */
  startedAt: Date | null;
}

/**
 * Ends an upload, and looks whether it is gone: a part that was still on its way may land after the first abort
 * (Amazon says so), and then a second one is needed. None of its requests may be in flight here any more.
 */
export async function endUpload(calls: S3Calls, upload: UploadRef, signal: AbortSignal): Promise<void> {
  const input = { Key: upload.key, UploadId: upload.uploadId };
  for (let round = 1; round <= ROUNDS; round += 1) {
    await calls.abortUpload(input, signal).catch(unlessGone);
    const parts = await calls.listParts({ ...input, MaxParts: 1 }, signal).catch(unlessGone);
    if (parts === null) return;
  }
  throw new AppError(
    'STORAGE_FAILED',
    `An upload of ${upload.key} does not end: its parts keep coming back.`,
    {
      retryable: true,
    },
  );
}

/**
 * Cleans up after a put that failed, for which the put's own signal no longer counts. Its outcome does not
 * replace the put's error: what could not be ended is logged, and the sweep's `abortUploads` finds it again.
 */
export async function cleanUp(
  action: (signal: AbortSignal) => Promise<unknown>,
  key: string,
  logger: Logger | undefined,
): Promise<void> {
  try {
    await action(timeLimit(CLEANUP_MS));
  } catch (error) {
    logger?.warn({ err: error, key }, 'an unfinished upload could not be cleaned up');
  }
}

/** Every unfinished upload whose key begins so. */
export async function* findUploads(
  calls: S3Calls,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<FoundUpload> {
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await calls.listUploads({ Prefix: prefix, ...marker }, signal);
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key !== undefined && UploadId !== undefined && Key.startsWith(prefix)) {
        yield { key: Key, uploadId: UploadId, startedAt: Initiated ?? null };
      }
    }
    if (!page.IsTruncated) return;
    if (!page.NextKeyMarker) {
      throw new AppError(
        'STORAGE_FAILED',
        'The server cut a list of uploads and did not say where it goes on.',
      );
    }
    marker = {
      KeyMarker: page.NextKeyMarker,
      ...(page.NextUploadIdMarker ? { UploadIdMarker: page.NextUploadIdMarker } : {}),
    };
  }
}

/** Null instead of an error that says: there is no such upload (any more). */
function unlessGone(error: unknown): null {
  if (error instanceof AppError && error.code === 'OBJECT_NOT_FOUND') return null;
  throw error;
}
