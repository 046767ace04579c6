/** What the tests of S3 share: a server, a bucket of each test's own, and a proxy between that makes faults. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { S3DestinationConfig } from '@tarfleet/contracts';
import { createLogger } from '@tarfleet/kernel';
import { type FaultProxy, type RunningS3, startFaultProxy, testS3 } from '@tarfleet/testbed';
import { createTunedStorage } from '../create-storage.ts';
import { tuned } from '../testing-tuning.ts';
import type { Storage } from '../types.ts';

export const MIB = 1024 * 1024;
export const never = new AbortController().signal;

interface Changes {
  config?: Partial<S3DestinationConfig>;
  keys?: { accessKeyId?: string; secretAccessKey?: string };
  idleMs?: number;
  tries?: number;
  log?: (line: string) => void;
}

/** For the tests of one file. */
export function useFaultyS3() {
  let server: RunningS3;
  let bucket: string;
  let proxy: FaultProxy;
  const opened: Storage[] = [];
  beforeAll(async () => {
    server = await testS3();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    bucket = `faults-${randomBytes(6).toString('hex')}`;
    await server.createBucket(bucket);
    proxy = await startFaultProxy(server.endpoint);
  });
  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.close();
    await proxy.stop();
  });
  return {
    get server() {
      return server;
    },
    get bucket() {
      return bucket;
    },
    get proxy() {
      return proxy;
    },
    /** Through the proxy, with short patience. */
    open({ config, keys, idleMs = 10_000, tries = 4, log }: Changes = {}): Storage {
      const { accessKeyId, region, secretAccessKey } = server;
      const place = { bucket, region, endpoint: proxy.url, ...config };
      const storage = createTunedStorage(
        { name: 'There', type: 's3', config: place },
        { accessKeyId, secretAccessKey, ...keys },
        {
          localAllowed: false,
          ...(log
            ? { logger: createLogger({ level: 'warn', process: 'test', destination: { write: log } }) }
            : {}),
        },
        tuned({ idleMs, tries }),
      );
      opened.push(storage);
      return storage;
    },
  };
}

export const put = (storage: Storage, key: string, content: Buffer, signal = never): Promise<unknown> =>
  storage.put(key, Readable.from([content], { objectMode: false }), { signal });
export const read = async (storage: Storage, key: string): Promise<Buffer> =>
  buffer(await storage.get(key, { signal: never }));
export const list = async (storage: Storage): Promise<string[]> => {
  const keys: string[] = [];
  for await (const object of storage.list('', never)) keys.push(object.key);
  return keys;
};

/** Every call that a missing bucket or a wrong key must fail. */
export function everyCall(storage: Storage): (() => Promise<unknown>)[] {
  return [
    () => put(storage, 'a', Buffer.from('x')),
    () => put(storage, 'a', randomBytes(9 * MIB)),
    () => storage.create('a', Buffer.from('x'), never),
    () => storage.get('a', { signal: never }),
    () => storage.stat('a', never),
    () => list(storage),
    () => storage.delete('a', never),
    () => storage.abortUploads('a', never),
    () => storage.check(never),
  ];
}

/** The error of a call, which must fail. */
export const failureOf = (call: Promise<unknown>): Promise<Error & Record<string, unknown>> =>
  call.then(
    () => Promise.reject(new Error('it should have failed')),
    (error) => error,
  );

export const isPart = (url: string): boolean => url.includes('partNumber=');
/** Does something to the first so many requests of a sort. */
export function first<T>(times: number, fault: T): () => T | 'pass' {
  let left = times;
  return () => {
    left -= 1;
    return left >= 0 ? fault : 'pass';
  };
}
