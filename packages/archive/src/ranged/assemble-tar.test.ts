import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IndexEntry } from '../index-file/format.ts';
import { comparePaths } from '../path-order.ts';
import { neverAborted } from '../test-streams.ts';
import { assembleTar } from './assemble-tar.ts';
import { archiveOf, blocksOf, pathsIn, readerOf, type TestArchive } from './testing/archives.ts';
import { assemble, drain, makeThreeArchives, type ThreeArchives, tarOf } from './testing/three-archives.ts';

const run = promisify(execFile);
let three: ThreeArchives;
let archives: TestArchive[] = [];
let entries: IndexEntry[] = [];
beforeAll(async () => {
  three = await makeThreeArchives();
  ({ archives, entries } = three);
});
afterAll(() => rm(three.dir, { recursive: true, force: true }));

describe('what is wanted, and nothing else', () => {
  test('any set of entries is the bytes of their tars, read by each member once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(entries), async (some) => {
        const wanted = some.sort((a, b) => comparePaths(a.path, b.path));
        const { tar, opened, blocks } = assemble(wanted, archives);
        expect((await buffer(tar)).equals(tarOf(archives, wanted))).toBe(true);
        const needed = new Set(wanted.flatMap((entry) => blocksOf(archives, entry)));
        expect(blocks().sort()).toEqual([...needed].sort());
        expect(opened.sort()).toEqual([...new Set(wanted.map(({ at }) => at.archive))].sort());
      }),
      { numRuns: 80 },
    );
  });

  test('nothing is an empty tar, and reads nothing', async () => {
    const { tar, opened } = assemble([], archives);
    expect(await buffer(tar)).toEqual(Buffer.alloc(1024));
    expect(opened).toEqual([]);
  });

  test.each([['pax', '--sparse'], ['gnu', '--sparse'], ['gnu']])(
    'GNU tar finds in it the tree as it was (%s %s)',
    async (format, ...more) => {
      const paths = await pathsIn(join(three.dir, 'tree'));
      const whole = await archiveOf(paths, { options: [`--format=${format}`, ...more.filter(Boolean)] });
      const { tar } = assemble(whole.entries, [whole]);
      const to = await mkdtemp(join(three.dir, 'extracted-'));
      const file = join(to, 'assembled.tar');
      await writeFile(file, await buffer(tar));
      await mkdir(join(to, 'root'));
      await run('tar', ['xpf', file, '-C', join(to, 'root')]);
      for (const root of ['/', join(to, 'root')]) {
        const { stdout } = await run('tar', ['--compare', '-f', file, '-C', root]);
        expect(stdout).toBe('');
      }
      await rm(to, { recursive: true });
    },
  );

  test('GNU tar lists an assembled part of it', async () => {
    const wanted = entries.filter((_, at) => at % 4 === 1);
    const list = spawn('tar', ['-tf', '-', '--quoting-style=literal', '--show-transformed-names'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    list.stdin.end(await buffer(assemble(wanted, archives).tar));
    const names = (await buffer(list.stdout)).toString('latin1').replaceAll('/\n', '\n');
    expect(names).toBe(wanted.map(({ path }) => `${path.toString('latin1', 1)}\n`).join(''));
  });
});

describe('faults from outside keep their own name', () => {
  const failing = (fail: 'open' | 'read', error: Error) =>
    assembleTar({
      entries: Readable.from(entries),
      signal: neverAborted(),
      blockBytesOf: (number) => archives[number]?.blockBytes ?? 0,
      async openArchive(number) {
        if (fail === 'open') throw error;
        const archive = archives[number];
        if (!archive) throw new Error('no archive');
        const { reader } = readerOf(archive);
        let reads = 0;
        return {
          ...reader,
          async read(start, length, signal) {
            reads += 1;
            if (reads > 2) throw error;
            return reader.read(start, length, signal);
          },
        };
      },
    });

  test.each(['open', 'read'] as const)('when it cannot %s', async (fail) => {
    const error = new Error('connection lost');
    expect((await drain(failing(fail, error))).error).toBe(error);
  });

  test('when the list of entries ends in a fault', async () => {
    async function* cut(): AsyncGenerator<IndexEntry> {
      yield* entries.slice(0, 30);
      throw new Error('the index is cut');
    }
    const { error, bytes } = await drain(assemble(cut(), archives).tar);
    expect(error).toMatchObject({ message: 'the index is cut' });
    expect(bytes.length).toBeLessThan(tarOf(archives, entries.slice(0, 30)).length);
  });
});

describe('one that ends before its end', () => {
  /** Entries without end, and reads that take a moment. */
  function endless(signal: AbortSignal) {
    const [one] = archives;
    if (!one) throw new Error('no archive');
    const state = { closed: 0, reads: 0 };
    async function* forever(): AsyncGenerator<IndexEntry> {
      try {
        for (;;) yield* one?.entries ?? [];
      } finally {
        state.closed += 1;
      }
    }
    const { reader } = readerOf(one);
    const tar = assembleTar({
      entries: forever(),
      signal,
      blockBytesOf: () => one.blockBytes,
      openArchive: async () => ({
        ...reader,
        async read(start, length, asked) {
          state.reads += 1;
          await delay(1, undefined, { signal: asked });
          return reader.read(start, length, asked);
        },
      }),
    });
    return { tar, state };
  }

  /** Waits until no more is read, so that what comes later is seen. */
  async function settled(state: { closed: number; reads: number }): Promise<void> {
    for (let calm = 0, reads = -1; calm < 10; calm += 1) {
      if (state.reads !== reads || state.closed === 0) calm = 0;
      reads = state.reads;
      await delay(5);
    }
    expect(state.closed).toBe(1);
  }

  const unhandled: unknown[] = [];
  const keep = (reason: unknown): void => void unhandled.push(reason);
  beforeAll(() => void process.on('unhandledRejection', keep));
  afterAll(() => {
    process.off('unhandledRejection', keep);
    expect(unhandled).toEqual([]);
  });

  test('a reader that leaves: reads stop, the entries are closed', async () => {
    const { tar, state } = endless(neverAborted());
    let seen = 0;
    for await (const part of tar) {
      seen += (part as Buffer).length;
      if (seen > 20_000) break;
    }
    await settled(state);
    const after = endless(neverAborted());
    await once(after.tar, 'readable');
    after.tar.destroy();
    await settled(after.state);
  });

  test.each([
    ['destroyed', neverAborted()],
    ['aborted', AbortSignal.abort(new Error('stop'))],
  ])('a reader that never begins: the entries are closed (%s)', async (_what, signal) => {
    const [one] = entries;
    if (!one) throw new Error('no entry');
    let closed = 0;
    const list = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false as const, value: one }),
        return: async () => {
          closed += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const tar = assembleTar({
      ...{ entries: list, signal, blockBytesOf: () => 4096 },
      openArchive: () => Promise.reject(new Error('not to be opened')),
    });
    tar.destroy();
    if (!tar.closed) await once(tar, 'close').catch(() => undefined);
    await delay(20);
    expect(closed).toBeGreaterThan(0);
  });

  test('an abort, before it begins or in the middle, is its reason', async () => {
    const reason = new Error('stop');
    const before = endless(AbortSignal.abort(reason));
    expect((await drain(before.tar)).error).toBe(reason);

    const controller = new AbortController();
    const { tar, state } = endless(controller.signal);
    let seen = 0;
    tar.on('data', (part: Buffer) => {
      seen += part.length;
      if (seen > 20_000) controller.abort(reason);
    });
    const [error] = (await once(tar, 'error').catch((cause: unknown) => [cause])) as [unknown];
    expect(error).toBe(reason);
    await settled(state);
  });
});
