import { createHash, randomBytes } from 'node:crypto';
import type { BlockBlobClient } from '@azure/storage-blob';
import { AppError, timeLimit } from '@tarfleet/kernel';
import type { Part, PartReader } from '../part-reader.ts';
import type { AzureTimeouts } from './azure-container.ts';
import type { AzureRequest } from './azure-requests.ts';

/** Blocks that travel at once: memory holds that many and the one that is being filled. */
const AT_ONCE = 3;
/** For what a failed or aborted upload has left. */
const CLEANUP_MS = 30_000;
/** Marks the empty blob that is put in the place of uncommitted blocks to be rid of them: our driver does not see it. */
export const DISCARDED = 'tarfleetdiscarded';
/** What is under way is not left: nobody could tell then what it has done. It has time limits. */
const uninterrupted = new AbortController().signal;

export interface BlockUpload {
  blob: BlockBlobClient;
  /** Read already. */
  first: Part;
  reader: PartReader;
  /** Makes the reader fail, so that nobody waits for a stream that is no longer wanted. */
  stopReading(error: unknown): void;
  beforeCommit: (() => Promise<void>) | undefined;
  signal: AbortSignal;
  request: AzureRequest;
  timeouts: AzureTimeouts;
}

/** Stores a stream as blocks and commits them. On failure no request of it is on its way, and its blocks are gone. */
export async function putInBlocks(upload: BlockUpload): Promise<void> {
  const { blob, request, signal, timeouts } = upload;
  try {
    const ids = await stage(upload);
    await upload.beforeCommit?.();
    signal.throwIfAborted();
    await request(uninterrupted, timeouts.idleMs, (abortSignal) =>
      blob.commitBlockList(ids, { abortSignal }),
    );
  } catch (error) {
    await discardBlocks(blob, request, timeouts.idleMs, timeLimit(CLEANUP_MS)).catch(() => {
      // The first error is the one to tell; the sweep takes the blocks, and Azure itself after a week.
    });
    throw error;
  }
}

async function stage({
  blob,
  first,
  reader,
  stopReading,
  signal,
  request,
  timeouts,
}: BlockUpload): Promise<string[]> {
  // Another writer of the same key has other names for its blocks. All names of a blob's blocks are of one length.
  const nonce = randomBytes(8).toString('hex');
  const ids: string[] = [];
  const inFlight = new Set<Promise<void>>();
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const send = async ({ content, release }: Part, id: string): Promise<void> => {
    try {
      // One that is on its way is not left at once: it could arrive after all blocks were discarded.
      const transactionalContentMD5 = createHash('md5').update(content).digest();
      await request(uninterrupted, timeouts.blockMs, (abortSignal) =>
        blob.stageBlock(id, content, content.length, { abortSignal, transactionalContentMD5 }),
      );
    } catch (error) {
      // The first failure ends the others and the reading, and is the one that they all show.
      if (both.aborted) return;
      stop.abort(error);
      stopReading(error);
    } finally {
      release();
    }
  };
  try {
    for (let part: Part | null = first; part; part = await reader.next()) {
      // A stream that ended on a part's edge.
      if (part.content.length === 0) break;
      const id = Buffer.from(`${nonce}-${String(part.number).padStart(6, '0')}`).toString('base64');
      while (inFlight.size >= AT_ONCE) await Promise.race(inFlight);
      both.throwIfAborted();
      ids.push(id);
      const sending = send(part, id).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
    }
    await Promise.all(inFlight);
    both.throwIfAborted();
    return ids;
  } catch (error) {
    if (!both.aborted) stop.abort(error);
    await Promise.all(inFlight);
    throw both.reason;
  }
}

/**
 * Azure has no request to end an upload: blocks go when a blob takes their place. So an empty one does, marked, and is
 * deleted. Where there is a blob already it stays as it is, and Azure drops the blocks after a week. True when done.
 */
export async function discardBlocks(
  blob: BlockBlobClient,
  request: AzureRequest,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const conditions = { ifNoneMatch: '*' };
    const metadata = { [DISCARDED]: '1' };
    await request(signal, ms, (abortSignal) =>
      blob.commitBlockList([], { abortSignal, conditions, metadata }),
    );
  } catch (error) {
    if (error instanceof AppError && error.code === 'OBJECT_EXISTS') return false;
    throw error;
  }
  await request(signal, ms, (abortSignal) => blob.deleteIfExists({ abortSignal }));
  return true;
}
