import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BlobItem } from '@azure/storage-blob';
import type { AzureDestinationConfig, DestinationSecrets } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { downloadStream } from '../download-stream.ts';
import { assertKey, listedName, toFolder } from '../keys.ts';
import { ownBody } from '../owned-body.ts';
import { createPartReader } from '../part-reader.ts';
import type { Patience } from '../patience.ts';
import type { Driver, ListedObject, OpenedObject, StoredObject } from '../types.ts';
import { type AzureTimeouts, endpointOf, openContainer } from './azure-container.ts';
import { translateAzure } from './azure-faults.ts';
import { createAzureRequest } from './azure-requests.ts';
import { DISCARDED, discardBlocks, putInBlocks } from './put-blocks.ts';

const MIB = 1024 * 1024;
/** Azure's own limits are 4000 MiB and 50,000 blocks. */
const SMALLEST_BLOCK = 8 * MIB;
const GROW_EVERY = 5000;
const PAGE = 1000;
/** Says whose creation it was, when its answer was lost and the library has sent it again. */
const CREATION = 'tarfleetcreation';

export interface AzureDriverOptions {
  config: AzureDestinationConfig;
  secrets: DestinationSecrets;
  timeouts: AzureTimeouts;
  patience: Patience;
}

/** Objects as block blobs of a container, each under the destination's prefix. */
export function createAzureDriver({ config, secrets, timeouts, patience }: AzureDriverOptions): Driver {
  const container = openContainer(config, secrets);
  const place = { container: config.container, endpoint: endpointOf(config) };
  const base = config.prefix === undefined ? '' : `${config.prefix}/`;
  const blobOf = (key: string) => container.getBlockBlobClient(base + key);

  const request = createAzureRequest(place, patience);
  const { idleMs, blockMs } = timeouts;

  /** Null when there is no such object. */
  async function find(
    key: string,
    signal: AbortSignal,
  ): Promise<(StoredObject & { creation: string | undefined }) | null> {
    try {
      const found = await request(signal, idleMs, (abortSignal) =>
        blobOf(key).getProperties({ abortSignal }),
      );
      if (found.metadata?.[DISCARDED]) return null;
      const { contentLength: bytes = 0, lastModified: modifiedAt = null } = found;
      return { key, bytes, modifiedAt, creation: found.metadata?.[CREATION] };
    } catch (error) {
      if (isCode(error, 'OBJECT_NOT_FOUND')) return null;
      throw error;
    }
  }

  async function* items(
    prefix: string,
    signal: AbortSignal,
    includeUncommitedBlobs: boolean,
  ): AsyncGenerator<BlobItem> {
    signal.throwIfAborted();
    const options = { prefix: base + toFolder(prefix), includeMetadata: true, includeUncommitedBlobs };
    let continuationToken: string | undefined;
    do {
      const page = { maxPageSize: PAGE, ...(continuationToken ? { continuationToken } : {}) };
      const { value, done } = await request(signal, idleMs, (abortSignal) =>
        container
          .listBlobsFlat({ ...options, abortSignal })
          .byPage(page)
          .next(),
      );
      if (done) return;
      yield* value.segment.blobItems;
      continuationToken = value.continuationToken;
    } while (continuationToken);
  }

  /** Names with nothing but blocks; also what a discarding that was cut short has left. */
  async function* unfinished(prefix: string, signal: AbortSignal): AsyncGenerator<BlobItem> {
    for await (const item of items(prefix, signal, true)) {
      if (item.properties.contentLength) continue;
      const key = item.name.slice(base.length);
      if ((await find(key, signal)) === null) yield item;
    }
  }

  function listed({ name, properties }: BlobItem): ListedObject {
    const { contentLength: bytes = 0, lastModified } = properties;
    return { ...listedName(Buffer.from(name.slice(base.length))), bytes, modifiedAt: lastModified ?? null };
  }

  return {
    async put(key, body, { signal, sizeHint = 0, beforeCommit }) {
      const owned = ownBody(body, signal);
      try {
        assertKey(key);
        signal.throwIfAborted();
        const even = Math.max(SMALLEST_BLOCK, Math.ceil(sizeHint / 40_000 / MIB) * MIB);
        const sizeOf = (number: number): number => even * 2 ** Math.floor((number - 1) / GROW_EVERY);
        const reader = createPartReader(owned.chunks, sizeOf);
        const first = await reader.next();
        const blob = blobOf(key);
        if (first?.last) {
          await beforeCommit?.();
          signal.throwIfAborted();
          await request(uninterrupted, blockMs, (abortSignal) =>
            blob.upload(first.content, first.content.length, { abortSignal }),
          );
        } else if (first) {
          const stopReading = owned.stop;
          await putInBlocks({ blob, first, reader, stopReading, beforeCommit, signal, request, timeouts });
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
      assertKey(key);
      const creation = randomBytes(8).toString('hex');
      try {
        await request(uninterrupted, blockMs, (abortSignal) =>
          blobOf(key).upload(body, body.length, {
            abortSignal,
            conditions: { ifNoneMatch: '*' },
            metadata: { [CREATION]: creation },
          }),
        );
      } catch (error) {
        const taken = isCode(error, 'OBJECT_EXISTS');
        if (!taken || (await find(key, uninterrupted))?.creation !== creation) throw error;
      }
    },

    async open(key, { signal, start = 0, length }) {
      signal.throwIfAborted();
      assertKey(key);
      const missing = new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination.`);
      if (length === 0) {
        if ((await find(key, signal)) === null) throw missing;
        return nothing();
      }
      try {
        const answer = await request(signal, idleMs, (abortSignal) =>
          blobOf(key).download(start, length, { abortSignal, maxRetryRequests: 0 }),
        );
        const { readableStreamBody: body, contentLength: bytes, metadata, etag: version = null } = answer;
        if (!(body instanceof Readable) || bytes === undefined || metadata?.[DISCARDED]) {
          (body as Readable | undefined)?.destroy();
          throw metadata?.[DISCARDED]
            ? missing
            : new AppError('STORAGE_FAILED', `The answer for ${key} does not say how long it is.`);
        }
        const translate = (error: unknown): AppError => translateAzure(error, place);
        return { body: downloadStream({ body, bytes, idleMs, signal, key, translate }), bytes, version };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        // The range begins at the object's end or behind it.
        if (error.code === 'STORAGE_FAILED' && String(error.cause).includes('HTTP 416')) return nothing();
        throw error.code === 'OBJECT_NOT_FOUND' ? missing : error;
      }
    },

    async stat(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      const found = await find(key, signal);
      return found && { key, bytes: found.bytes, modifiedAt: found.modifiedAt };
    },

    async *list(prefix, signal) {
      for await (const item of items(prefix, signal, false))
        if (!item.metadata?.[DISCARDED]) yield listed(item);
    },

    async delete(key, signal) {
      signal.throwIfAborted();
      assertKey(key);
      try {
        await request(signal, idleMs, (abortSignal) => blobOf(key).delete({ abortSignal }));
      } catch (error) {
        if (!isCode(error, 'OBJECT_NOT_FOUND')) throw error;
      }
    },

    async abortUploads(prefix, signal) {
      let count = 0;
      for await (const item of unfinished(prefix, signal)) {
        const blob = container.getBlockBlobClient(item.name);
        if (await discardBlocks(blob, request, idleMs, signal)) count += 1;
        else if (item.metadata?.[DISCARDED])
          await request(signal, idleMs, (abortSignal) => blob.deleteIfExists({ abortSignal }));
      }
      return count;
    },

    async *listUploads(prefix, signal) {
      for await (const item of unfinished(prefix, signal))
        if (!item.metadata?.[DISCARDED]) yield listed(item);
    },

    async close() {
      // The library shares its connections among all clients, and lets idle ones go.
    },
  };
}

function nothing(): OpenedObject {
  return { body: Readable.from([]), bytes: 0, version: null };
}

function isCode(error: unknown, code: AppError['code']): boolean {
  return error instanceof AppError && error.code === code;
}

/** What stores is not left half way: nobody could tell then what it has done. It has time limits. */
const uninterrupted = new AbortController().signal;
