// What every destination behind a network owes when the network, the credentials or the disk fail: whole or an error,
// never a short end, never a hang, and nothing left.
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { MIB, never, pieces } from './testing-subjects.ts';
import { type World, worlds } from './testing-worlds.ts';
import type { Storage } from './types.ts';

const LOST = { code: 'DESTINATION_UNREACHABLE', retryable: true };
const bodyOf = (content: Buffer): Readable => Readable.from(pieces(content), { objectMode: false });
const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'nothing failed',
    (error: unknown) => error,
  );

describe.each(worlds)('%s', (kind, create) => {
  let world: World;
  const content = randomBytes(12 * MIB);
  beforeAll(async () => {
    world = await create();
    await put(world.open(), 'kept/object', content);
  }, 60_000);
  afterEach(() => {
    world.gate.refuse(false);
    world.gate.silence(false);
    world.gate.slow(null);
  });
  afterAll(() => world.close());
  const put = (storage: Storage, key: string, what: Buffer): Promise<unknown> =>
    storage.put(key, bodyOf(what), { signal: never, sizeHint: what.length });
  const read = async (storage: Storage, start = 0, length = content.length - start): Promise<Buffer> =>
    buffer(await storage.get('kept/object', { signal: never, start, length }));
  const left = async (name: string): Promise<string[]> =>
    (await world.everything()).filter((found) => found.includes(name));
  /** What a failed put left goes when its remains are swept, and with it all that bears its name. */
  const expectSwept = async (folder: string): Promise<void> => {
    await world.open().abortUploads(folder, never);
    expect(await left(folder)).toEqual([]);
  };

  test('wrong credentials are told by every call, and not tried again', async () => {
    const storage = world.openWrong();
    const calls: (() => Promise<unknown>)[] = [
      () => put(storage, 'wrong/object', Buffer.from('x')),
      () => put(storage, 'wrong/object', content),
      () => storage.create('wrong/object', Buffer.from('x'), never),
      () => read(storage),
      () => storage.stat('kept/object', never),
      () => storage.delete('kept/object', never),
      () => storage.list('', never)[Symbol.asyncIterator]().next(),
      () => storage.abortUploads('', never),
      () => storage.check(never),
    ];
    const before = world.gate.accepted();
    for (const call of calls) {
      expect(await failureOf(call())).toMatchObject({ code: 'DESTINATION_AUTH_FAILED', retryable: false });
    }
    // A check takes away what it may have left, whatever went wrong.
    expect(world.gate.accepted() - before).toBeLessThanOrEqual(calls.length + 1);
    expect(await left('wrong')).toEqual([]);
  });

  test.each(['reset', 'end', 'silence'] as const)(
    'a read that meets a %s goes on where it was',
    async (how) => {
      const storage = world.open({ idleMs: 1000 });
      const broken = world.gate.breakNext({ way: 'down', after: 3 * MIB, how });
      expect((await read(storage)).equals(content)).toBe(true);
      await broken;
      const again = world.gate.breakNext({ way: 'down', after: 2 * MIB, how });
      const range = await read(storage, 2 * MIB + 1, 7 * MIB);
      expect(range.equals(content.subarray(2 * MIB + 1, 9 * MIB + 1))).toBe(true);
      await again;
    },
  );

  test('a read whose server does not come back is an error, not a short end', async () => {
    for (const how of ['refuse', 'silence'] as const) {
      const storage = world.open({ idleMs: 700, tries: 2 });
      const stream = await storage.get('kept/object', { signal: never });
      const reading = (async () => {
        for await (const _chunk of stream) world.gate[how](true);
      })();
      expect(await failureOf(reading)).toMatchObject(LOST);
      world.gate[how](false);
    }
  });

  test.each(['reset', 'end'] as const)(
    'a put that meets a %s is whole, or gone; with its stream anew it is whole',
    async (how) => {
      const storage = world.open();
      const broken = world.gate.breakNext({ way: 'up', after: 5 * MIB, how });
      const failure = await failureOf(put(storage, `once-${how}/object`, content));
      await broken;
      if (failure === 'nothing failed') {
        const stored = await storage.get(`once-${how}/object`, { signal: never });
        expect((await buffer(stored)).equals(content)).toBe(true);
        await storage.delete(`once-${how}/object`, never);
      } else expect(failure).toMatchObject({ retryable: true });
      expect(await left(`once-${how}`)).toEqual([]);

      const other = world.gate.breakNext({ way: 'up', after: 5 * MIB, how });
      const options = { signal: never, reread: () => bodyOf(content) };
      await storage.put(`anew-${how}/object`, bodyOf(content), options);
      await other;
      expect(await left(`anew-${how}`)).toEqual([`anew-${how}/object`]);
      expect((await buffer(await storage.get(`anew-${how}/object`, { signal: never }))).equals(content)).toBe(
        true,
      );
      await storage.delete(`anew-${how}/object`, never);
    },
  );

  test('a put whose server does not come back is an error, and what it left is swept', async () => {
    for (const how of ['refuse', 'silence'] as const) {
      const storage = world.open({ idleMs: 700, tries: 2 });
      const body = Readable.from(
        (async function* () {
          yield* pieces(content);
          world.gate[how](true);
          for (;;) yield content;
        })(),
        { objectMode: false },
      );
      expect(await failureOf(storage.put(`lost-${how}/object`, body, { signal: never }))).toMatchObject(LOST);
      expect(body.destroyed).toBe(true);
      world.gate[how](false);
      expect(await storage.stat(`lost-${how}/object`, never)).toBeNull();
      await expectSwept(`lost-${how}`);
    }
  }, 60_000);

  test('a server that is away for a moment is waited for, by every call', async () => {
    const storage = world.open({ tries: 12 });
    const away = async <T>(call: () => Promise<T>): Promise<T> => {
      world.gate.refuse(true);
      setTimeout(() => world.gate.refuse(false), 60);
      return call();
    };
    await away(() => put(storage, 'away/object', content));
    expect((await away(() => storage.stat('away/object', never)))?.bytes).toBe(content.length);
    await away(() => storage.create('away/created', Buffer.from('x'), never));
    const keys: string[] = [];
    await away(async () => {
      for await (const { key } of storage.list('away', never)) keys.push(key);
    });
    expect(keys.sort()).toEqual(['away/created', 'away/object']);
    expect((await away(() => read(storage))).equals(content)).toBe(true);
    for (const key of keys) await away(() => storage.delete(key, never));
    await away(() => storage.abortUploads('away', never));
    expect(await left('away')).toEqual([]);
  });

  test('an abort while a server is waited for ends the wait', async () => {
    const storage = world.open({ tries: 1000 });
    const reason = new Error('enough');
    world.gate.refuse(true);
    const body = bodyOf(content);
    const signal = (): AbortSignal => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(reason), 100);
      return abort.signal;
    };
    expect(await failureOf(storage.stat('kept/object', signal()))).toBe(reason);
    // What a put may have left is looked after for longer.
    setTimeout(() => world.gate.refuse(false), 300);
    expect(await failureOf(storage.put('given-up/object', body, { signal: signal() }))).toBe(reason);
    expect(body.destroyed).toBe(true);
    world.gate.refuse(false);
    await expectSwept('given-up');
  });

  test('a slow way is no silent one', async () => {
    const storage = world.open({ idleMs: 3000, tries: 1 });
    world.gate.slow(3.5 * MIB);
    const [, found] = await Promise.all([put(storage, 'slow/object', content), read(storage)]);
    expect(found.equals(content)).toBe(true);
    expect((await storage.stat('slow/object', never))?.bytes).toBe(content.length);
    await storage.delete('slow/object', never);
  });

  test('of several writers of one object one is the last, whole, and none leaves anything', async () => {
    const storage = world.open();
    const bodies = Array.from({ length: 4 }, () => randomBytes(9 * MIB));
    const results = await Promise.allSettled(bodies.map((body) => put(storage, 'many/object', body)));
    const well = bodies.filter((_, n) => results[n]?.status === 'fulfilled');
    // Azure drops the blocks of all other writers when one commits: these are told so.
    if (kind === 'azure') expect(well.length).toBeGreaterThan(0);
    else expect(well).toHaveLength(bodies.length);
    for (const result of results) {
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ code: 'STORAGE_FAILED', retryable: true });
    }
    const stored = await buffer(await storage.get('many/object', { signal: never }));
    expect(well.some((body) => body.equals(stored))).toBe(true);
    expect(await left('many')).toEqual(['many/object']);
    await storage.delete('many/object', never);
  });

  test('a full disk is an error that leaves nothing, and the destination works again with space', async () => {
    if (!world.fill) {
      expect([kind, process.env.S3_ENDPOINT]).toEqual(['s3', expect.any(String)]);
      return;
    }
    await world.fill(6 * MIB);
    const storage = world.open({ tries: 2 });
    const failure = await failureOf(put(storage, 'full/object', content));
    // Azurite answers 500, or cuts: the real one's words are in azure-driver.test.ts.
    if (kind === 'azure') expect(failure).toBeInstanceOf(Error);
    else expect(failure).toMatchObject({ code: 'STORAGE_FULL', retryable: false });
    await world.free();
    await expectSwept('full');
    expect((await read(storage)).equals(content)).toBe(true);
    await put(storage, 'full/object', content);
    await storage.delete('full/object', never);
  });
});
