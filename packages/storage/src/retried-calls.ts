/** Calls that are made again after passing faults: a decorator around drivers whose protocol has no such thing itself. */
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AppError, withRetry } from '@tarfleet/kernel';
import type { Patience } from './patience.ts';
import type { Driver, ListedObject, PutOptions, PutResult } from './types.ts';
import { unreadBody } from './unread-body.ts';

/** A listing that is begun again leaves out what it has given before; it remembers no more than so many names. */
const REMEMBERED = 20_000;

/**
 * Network faults and passing ones of the server are met with further tries; refused credentials, missing rights and a full
 * disk are not. A put is made again while nothing was read of its stream, or with a stream that `reread` gives anew.
 */
export function withRetriedCalls(driver: Driver, patience: Patience): Driver {
  const again = <T>(signal: AbortSignal, action: () => Promise<T>, may?: () => boolean): Promise<T> =>
    withRetry(action, { ...patience, signal }, may);

  /** Whether the object is there with just these bytes. */
  async function holds(key: string, content: Buffer, signal: AbortSignal): Promise<boolean> {
    const { body, bytes } = await driver.open(key, { signal });
    if (bytes === content.length) return (await buffer(body)).equals(content);
    body.destroy();
    return false;
  }

  async function create(key: string, content: Buffer, signal: AbortSignal): Promise<void> {
    // After a lost answer the object may be there, and by this very call.
    let unsure = false;
    await again(signal, async () => {
      try {
        await driver.create(key, content, signal);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        if (unsure && error.code === 'OBJECT_EXISTS' && (await holds(key, content, signal))) return;
        unsure ||= error.retryable;
        throw error;
      }
    });
  }

  async function put(key: string, body: Readable, options: PutOptions): Promise<PutResult> {
    const { reread, signal } = options;
    let source = body;
    let attempt = unreadBody(source);
    let tries = 0;
    try {
      return await again(
        signal,
        async () => {
          if (tries > 0) {
            if (attempt.isBegun() && reread) {
              source.destroy();
              source = await reread();
            }
            attempt = unreadBody(source);
          }
          tries += 1;
          return driver.put(key, attempt.view, options);
        },
        () => !attempt.isBegun() || reread !== undefined,
      );
    } catch (error) {
      source.destroy(error as Error);
      throw error;
    }
  }

  async function* repeated(
    list: () => AsyncIterable<ListedObject>,
    signal: AbortSignal,
    remembered: number,
  ): AsyncGenerator<ListedObject> {
    const seen = new Set<string>();
    let given = 0;
    let source = list()[Symbol.asyncIterator]();
    let broken = false;
    const next = async (): Promise<IteratorResult<ListedObject>> => {
      if (broken) source = list()[Symbol.asyncIterator]();
      broken = true;
      const result = await source.next();
      broken = false;
      return result;
    };
    try {
      for (;;) {
        const { done, value } = await again(signal, next, () => given <= remembered);
        if (done) return;
        const name = `${value.foreign} ${value.key}`;
        if (seen.has(name)) continue;
        given += 1;
        if (given <= remembered) seen.add(name);
        yield value;
      }
    } finally {
      await source.return?.();
    }
  }

  return {
    ...driver,
    create,
    put,
    open: (key, options) => again(options.signal, () => driver.open(key, options)),
    stat: (key, signal) => again(signal, () => driver.stat(key, signal)),
    delete: (key, signal) => again(signal, () => driver.delete(key, signal)),
    abortUploads: (prefix, signal) => again(signal, () => driver.abortUploads(prefix, signal)),
    list: (prefix, signal) => repeated(() => driver.list(prefix, signal), signal, REMEMBERED),
    // Several may have one name: begun again only while none was given.
    listUploads: (prefix, signal) => repeated(() => driver.listUploads(prefix, signal), signal, 0),
  };
}
