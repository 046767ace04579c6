import { readFile, writeFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Storage } from '@tarfleet/storage';
import { rewrapDataKey } from '@tarfleet/vault';
import fc from 'fast-check';
import { keyObject, openKeyStore, place, ring } from './testing-data-keys.ts';

const { signal } = new AbortController();
const codeOf = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

let t: Awaited<ReturnType<typeof openKeyStore>>;
beforeEach(async () => {
  t = await openKeyStore();
});
afterEach(() => t.close());

test('rewrapping leaves the same key under the new name alone; once more changes nothing', async () => {
  const dataKey = await t.store('k1');
  expect(await t.rewrap('k2', ring('k1', 'k2'))).toBe(true);
  expect(await t.keyNames()).toEqual(['k2']);
  expect(await t.open(ring('k2'))).toEqual(dataKey);
  const [only] = await t.keys('p');
  expect(await t.rewrap('k2', ring('k2'))).toBe(false);
  expect(await t.keys('p')).toEqual([only]);
  const both = await Promise.all([t.rewrap('k3', ring('k2', 'k3')), t.rewrap('k3', ring('k2', 'k3'))]);
  expect(both).toContain(true);
  expect(new Set(await t.keyNames())).toEqual(new Set(['k3']));
  expect(await t.open(ring('k3'))).toEqual(dataKey);
});

test('a new key that is not there, or another key in its place, changes nothing', async () => {
  const dataKey = await t.store('k1');
  await expect(t.rewrap('k2', ring('k1'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND'));
  await expect(t.rewrap('k2', ring('k2'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND', 'the key k1'));
  expect(await t.keys('p')).toEqual([keyObject('k1')]);
  const first = await readFile(t.pathOf('k1'));
  await t.storage.delete(keyObject('k1'), signal);
  await t.store('k2');
  await writeFile(t.pathOf('k1'), first);
  await expect(t.rewrap('k2', ring('k1', 'k2'))).rejects.toEqual(
    codeOf('BACKUP_CORRUPTED', 'different keys'),
  );
  expect(await t.keys('p')).toEqual([keyObject('k1'), keyObject('k2')]);
  expect(await t.open(ring('k1'))).toEqual(dataKey);
});

test('only what was opened and holds the same key is removed', async () => {
  const dataKey = await t.store('k1');
  await t.also('k2', 'k1');
  // The keyring has no k2: its object may be somebody else's only way in.
  expect(await t.rewrap('k3', ring('k1', 'k3'))).toBe(true);
  expect(await t.keyNames()).toEqual(['k2', 'k3']);
  expect(await t.open(ring('k2'))).toEqual(dataKey);
  await writeFile(t.pathOf('k1'), '{}');
  expect(await t.rewrap('k3', ring('k1', 'k2', 'k3'))).toBe(true);
  expect(await t.keyNames()).toEqual(['k1', 'k3']);
  // Once more: what cannot be opened stays, and nothing else is to be done.
  expect(await t.rewrap('k3', ring('k1', 'k2', 'k3'))).toBe(false);
});

test('the beginning of a new key object, left by a crash, is not touched: it may be on its way', async () => {
  const dataKey = await t.store('k1');
  await writeFile(t.pathOf('k2'), '{"v":1,"format":"tarfl');
  expect(await t.rewrap('k2', ring('k1', 'k2'))).toBe(true);
  expect(await t.keyNames()).toEqual(['k2', 'k2']);
  expect(await t.open(ring('k2'))).toEqual(dataKey);
});

test('whoever no longer owns the job deletes nothing', async () => {
  const dataKey = await t.store('k1');
  const lost = new Error('superseded');
  const asked = { ...place, to: 'k2', assertOwned: () => Promise.reject(lost) };
  await expect(rewrapDataKey(t.storage, ring('k1', 'k2'), asked, signal)).rejects.toBe(lost);
  expect(await t.keyNames()).toEqual(['k1', 'k2']);
  expect(await t.open(ring('k1'))).toEqual(dataKey);
});

const killed = new Error('killed');

/** The destination of a process that dies at its nth call, before or after the call has done its work. */
function mortal(storage: Storage, nth: number, when: 'before' | 'after') {
  let calls = 0;
  const live = async <T>(call: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls > nth || (calls === nth && when === 'before')) throw killed;
    const result = await call();
    if (calls === nth) throw killed;
    return result;
  };
  const dying: Storage = {
    ...storage,
    create: (key, body, asked) => live(() => storage.create(key, body, asked)),
    delete: (key, asked) => live(() => storage.delete(key, asked)),
    async get(key, options) {
      const stream = await storage.get(key, options);
      return live(async () => stream).catch((error: unknown) => {
        stream.destroy();
        throw error;
      });
    },
    async *list(prefix, asked) {
      await live(async () => undefined);
      yield* storage.list(prefix, asked);
    },
  };
  return { dying, survived: () => calls < nth };
}

test.each(['before', 'after'] as const)(
  'killed %s any call of the destination, the archive opens, and once more finishes it',
  async (when) => {
    const own = ring('k1', 'k2', 'k3');
    const left = new Set<string>();
    for (let nth = 1; ; nth += 1) {
      for (const key of await t.keys('p')) await t.storage.delete(key, signal);
      const dataKey = await t.store('k1');
      await t.also('k2', 'k1');
      const { dying, survived } = mortal(t.storage, nth, when);
      const ended = await t.rewrap('k3', own, dying).catch((error: unknown) => error);
      if (survived()) {
        expect(ended).toBe(true);
        break;
      }
      expect(ended).toBe(killed);
      left.add((await t.keyNames()).join());
      expect(await t.open(own)).toEqual(dataKey);
      await t.rewrap('k3', own);
      expect(await t.keyNames()).toEqual(['k3']);
      expect(await t.open(ring('k3'))).toEqual(dataKey);
    }
    const last = when === 'after' ? ['k3'] : [];
    expect([...left]).toEqual(['k1,k2', 'k1,k2,k3', 'k2,k3', ...last]);
  },
);

describe('an attempt that sleeps, however long, before it deletes', () => {
  const own = ring('k1', 'k2', 'k3');

  /** The destination of a process that is frozen right before it deletes, until it is woken. */
  function freezing(storage: Storage) {
    const [reached, wake] = [createGate(), createGate()];
    const frozen: Storage = {
      ...storage,
      async delete(key, asked) {
        reached.open();
        await wake.opened;
        await storage.delete(key, asked);
      },
    };
    return { frozen, reached: reached.opened, wake: wake.open };
  }

  test.each([
    ['back to the old key', ['k1']],
    ['to a third key and back to the old one', ['k3', 'k1']],
    ['to its own key and back to the old one', ['k2', 'k1']],
    ['to and fro', ['k1', 'k2', 'k1', 'k3', 'k1']],
  ])('deletes no key that is in use, after changes %s', async (_what, changes) => {
    const dataKey = await t.store('k1');
    const { frozen, reached, wake } = freezing(t.storage);
    const sleeper = t.rewrap('k2', own, frozen);
    await reached;
    for (const to of changes) await t.rewrap(to, own);
    const before = await t.keys('p');
    wake();
    expect(await sleeper).toBe(true);
    // All that it deleted had gone before.
    expect(await t.keys('p')).toEqual(before);
    expect(await t.open(ring(changes.at(-1) ?? ''))).toEqual(dataKey);
  });

  test('nor in any other order of what several do at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom('k1', 'k2', 'k3'), { minLength: 2, maxLength: 5 }),
        async (scheduler, targets) => {
          for (const key of await t.keys('p')) await t.storage.delete(key, signal);
          const dataKey = await t.store('k1');
          const step = <A extends unknown[], R>(call: (...given: A) => Promise<R>) =>
            scheduler.scheduleFunction(call) as (...given: A) => Promise<R>;
          const stepped: Storage = {
            ...t.storage,
            create: step(t.storage.create),
            delete: step(t.storage.delete),
            get: step(t.storage.get),
            async *list(prefix, asked) {
              await step(async () => undefined)();
              yield* t.storage.list(prefix, asked);
            },
          };
          let running = targets.length;
          const ended = (): void => {
            running -= 1;
          };
          for (const to of targets) void t.rewrap(to, own, stepped).then(ended, ended);
          while (running > 0) {
            if (scheduler.count() > 0) await scheduler.waitOne();
            else await turn();
            expect(await t.open(own)).toEqual(dataKey);
          }
          expect(await t.open(own)).toEqual(dataKey);
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);
});

function createGate(): { opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
