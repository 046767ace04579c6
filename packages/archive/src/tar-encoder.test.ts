// Headers of our own: any entry comes back by our walker, and what other programs extract is what was there.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { requireTools, snapshotTree, type TreeEntry } from '@tarfleet/testbed';
import fc from 'fast-check';
import { decodeRootList } from './root-list.ts';
import { type NewEntry, paddingOf, TAR_END, tarComment, tarHeader } from './tar-encoder.ts';
import { createTarWalker } from './tar-walker.ts';
import type { TarEntry } from './types.ts';

const run = promisify(execFile);
type Entry = Parameters<typeof tarHeader>[0];

let dir = '';
beforeAll(async () => {
  await requireTools(['bsdtar', 'busybox']);
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-header-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function entry(path: string | Buffer, more: Partial<NewEntry> & { type?: Entry['type'] } = {}): Entry {
  const base = {
    type: 'file' as const,
    size: 0,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: '1000000000',
    linkTarget: null,
  };
  return { ...base, ...more, path: Buffer.from(path as string) };
}

function tarOf(entries: readonly Entry[], content: (one: Entry) => Buffer): Buffer {
  const parts = entries.flatMap((one) => [tarHeader(one), content(one), Buffer.alloc(paddingOf(one.size))]);
  return Buffer.concat([...parts, TAR_END]);
}
const filled = ({ size }: Entry): Buffer => Buffer.alloc(size, 'x');

/** The entries as the walker sees them, of a stream cut at these places. */
async function walk(bytes: Buffer, places: readonly number[] = []): Promise<TarEntry[]> {
  const found: TarEntry[] = [];
  const walker = createTarWalker({ onEntry: (one) => found.push(one) });
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks = [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
  expect(
    (await buffer(Readable.from(chunks.filter(({ length }) => length > 0)).pipe(walker))).equals(bytes),
  ).toBe(true);
  return found;
}

describe('our walker', () => {
  const byte = fc.integer({ min: 1, max: 255 });
  const name = (maxLength: number) =>
    fc.oneof(
      fc.array(byte, { minLength: 1, maxLength }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(
          fc.constantFrom(1, 98, 99, 100, 101, 154, 155, 156, 255, 256, 257),
          fc.constantFrom('n', 'é', '\xff'),
        )
        .map(([length, char]) => Buffer.alloc(length, char, char === '\xff' ? 'latin1' : 'utf8')),
    );
  const border = (...borders: number[]) =>
    fc.oneof(fc.constantFrom(...borders.flatMap((one) => [one - 1, one, one + 1])), fc.nat());
  const seconds = fc.oneof(
    fc.constantFrom('0', '-1', '-2147483649', '4294967296', '8589934591', '8589934592', '253402300800'),
    fc.integer({ min: -5_000_000_000, max: 20_000_000_000 }).map(String),
  );
  const mtime = fc
    .tuple(seconds, fc.constantFrom('', '.0000000000', '.5', '.2500000000', '.1234567890'))
    .map((two) => two.join(''));
  const any = fc
    .record({
      path: name(300),
      type: fc.constantFrom(
        'file',
        'directory',
        'symlink',
        'hardlink',
        'fifo',
        'character-device',
        'block-device',
      ),
      mode: fc.nat(0o7777),
      uid: border(0o7777777, 2 ** 32 - 2),
      gid: border(0o7777777, 2 ** 32 - 2),
      mtime,
      target: name(400),
      size: fc.nat(2000),
    })
    .map(({ target, ...one }): Entry => {
      // A name that ends in a slash is a folder's, which gets one itself.
      const path = Buffer.from(
        one.path.map((value, at) => (at === one.path.length - 1 && value === 0x2f ? 0x2e : value)),
      );
      const isLink = one.type === 'symlink' || one.type === 'hardlink';
      return {
        ...one,
        ...{ path, type: one.type as Entry['type'], linkTarget: isLink ? target : null },
        size: one.type === 'file' ? one.size : 0,
      };
    });

  test('finds any entries as they were given, cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(any, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (entries, places) => {
          const found = await walk(tarOf(entries, filled), places);
          expect(found).toHaveLength(entries.length);
          for (const [at, { path, mtime: time, device: _device, ...wanted }] of entries.entries()) {
            const slash = wanted.type === 'directory' ? '/' : '';
            expect(found[at]).toMatchObject({ ...wanted, path: Buffer.concat([path, Buffer.from(slash)]) });
            expect(found[at]?.mtime).toBe(Number(time));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('finds the sizes that need more than their field', async () => {
    for (const size of [0o77777777777, 0o77777777777 + 1, 2 ** 40, 2 ** 50]) {
      const found: TarEntry[] = [];
      const walker = createTarWalker({ onEntry: (one) => found.push(one) });
      walker.on('error', () => undefined);
      walker.resume();
      await new Promise((resolve) => walker.write(tarHeader(entry('big', { size })), resolve));
      walker.destroy();
      expect(found).toMatchObject([{ size }]);
    }
  });

  test('finds the roots in the comment', async () => {
    const roots = [
      { path: Buffer.from('/srv/www'), type: 'directory' as const },
      { path: Buffer.from([0x2f, 0xff, 0x0a, 0x3a]), type: 'symlink' as const },
    ];
    let comment = Buffer.alloc(0);
    const walker = createTarWalker({
      onEntry: () => undefined,
      onComment: (found) => (comment = Buffer.from(found)),
    });
    walker.end(Buffer.concat([tarComment(roots), TAR_END]));
    await buffer(walker);
    expect(decodeRootList(comment)).toEqual(roots);
  });
});

const EXTRACT: [string, string[]][] = [
  ['GNU tar', ['tar', '--numeric-owner', '-xpf']],
  ['bsdtar', ['bsdtar', '--numeric-owner', '-xpf']],
  ['busybox', ['busybox', 'tar', '-x', '-p', '-f']],
];

describe.each(EXTRACT)('%s', (program, [name = '', ...options]) => {
  /** What it makes of them, by name. */
  async function extracted(entries: readonly Entry[]): Promise<Map<string, TreeEntry>> {
    const to = await mkdtemp(join(dir, 'to-'));
    await writeFile(`${to}.tar`, tarOf(entries, filled));
    const { stderr } = await run(name, [...options, `${to}.tar`], {
      ...{ cwd: to, encoding: 'latin1' },
      // libarchive turns UTF-8 into the characters of the locale, and needs one that has them.
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    // GNU tar does not know `hdrcharset` and needs it not: its names are bytes. The others are of no consequence.
    const lines = stderr
      .split('\n')
      .filter((line) => !/^$|keyword 'hdrcharset'|implausibly old time|in the future/.test(line));
    expect(lines).toEqual([]);
    const found = await snapshotTree(to);
    return new Map(found.flatMap((one) => (one.path === '' ? [] : [[one.path, one]])));
  }

  test('extracts names at every border, and of any bytes', async () => {
    const folder = 'd'.repeat(50);
    const lengths = [1, 50, 99, 100, 101, 154, 155, 156, 157, 204, 205, 206, 254, 255, 256, 257, 300, 306];
    const names = [
      ...lengths.map((length) =>
        // No part is longer than a file system has it.
        length <= 50 ? 'n'.repeat(length) : `${folder}/${'n'.repeat(length - 51)}`,
      ),
      ...['a'.repeat(100), 'a'.repeat(101), 'a'.repeat(155), 'a'.repeat(156), 'a'.repeat(255)],
      ...['é'.repeat(50), 'é'.repeat(51), 'cafe\u0301', '日本語', 'new\nline', ' ', '-rf', '*', 'a\\b', '"'],
      ...[Buffer.from([0xff, 0xfe]), Buffer.from([0x63, 0xe9, 0x0a]), Buffer.alloc(120, 0xfc)],
    ].map((one) => Buffer.from(one as string));
    const entries = [entry(folder, { type: 'directory' }), ...names.map((one) => entry(one, { size: 3 }))];
    const found = await extracted(entries);
    expect([...found.keys()].sort()).toEqual(entries.map(({ path }) => path.toString('latin1')).sort());
    for (const one of names) {
      expect(found.get(one.toString('latin1'))).toMatchObject({ type: 'file', size: '3' });
    }
  });

  test('extracts links with targets at every border', async () => {
    const targets = [1, 99, 100, 101, 155, 156, 255, 256, 257, 1000].map((length) => 't'.repeat(length));
    targets.push('é'.repeat(50), 'é'.repeat(51), '\xff\n');
    const links = targets.map((target, at) =>
      entry(`link-${at}`, {
        ...{ type: 'symlink', mode: 0o777 },
        linkTarget: Buffer.from(target, target.startsWith('\xff') ? 'latin1' : 'utf8'),
      }),
    );
    const deep = `${'f'.repeat(100)}/${'g'.repeat(100)}`;
    const folder = entry('f'.repeat(100), { type: 'directory', mode: 0o755 });
    const further = entry(`${deep}-further`, { type: 'hardlink', linkTarget: Buffer.from(deep) });
    const found = await extracted([...links, folder, entry(deep, { size: 5 }), further]);
    for (const { path, linkTarget } of links) {
      expect(found.get(path.toString())?.link).toBe(linkTarget?.toString('latin1'));
    }
    expect(found.get(`${deep}-further`)).toMatchObject({ sameAs: deep, size: '5' });
  });

  test('extracts modes, owners, times and kinds', async () => {
    const ids = [0, 0o7777777 - 1, 0o7777777, 0o7777777 + 1, 2 ** 31, 2 ** 32 - 2];
    const times = [
      '0',
      '1',
      '1000000000.5',
      '1000000000.1234567890',
      '4294967296',
      '8589934591',
      '8589934592',
    ];
    times.push('-1', '-1.5', '-86400.2500000000', '-2147483648');
    const modes = [0, 0o400, 0o755, 0o4755, 0o2755, 0o1777, 0o7777];
    const entries = [
      ...ids.map((id) => entry(`id-${id}`, { uid: id, gid: id })),
      ...times.map((mtime) => entry(`time${mtime}`, { mtime })),
      ...modes.map((mode) => entry(`mode-${mode}`, { mode })),
      entry('fifo', { type: 'fifo' }),
      entry('null', { type: 'character-device', device: [1, 3] }),
      entry('loop', { type: 'block-device', device: [7, 200] }),
      entry('folder', { type: 'directory', mode: 0o750, mtime: '1234567890.75' }),
    ];
    const found = await extracted(entries);
    for (const { path, type, mode, uid, gid, mtime } of entries) {
      // busybox reads the names of extended headers alone: of the rest it has what the fields hold.
      const plain = program === 'busybox';
      const isLarge = uid > 0o7777777 || Number(mtime) < 0 || Number(mtime) > 0o77777777777;
      const is = found.get(path.toString());
      expect([path.toString(), is?.type, is?.mode]).toEqual([
        path.toString(),
        type.replace('-', ' '),
        mode.toString(8),
      ]);
      if (plain && isLarge) continue;
      // libarchive reads -1.5 as -1 and then half a second more.
      if (program === 'bsdtar' && /^-.*\./.test(mtime)) continue;
      const [whole = '', fraction = ''] = mtime.split('.');
      const nanos = plain ? 0n : BigInt(fraction.padEnd(9, '0').slice(0, 9));
      const time = BigInt(whole) * 1_000_000_000n + (mtime.startsWith('-') ? -nanos : nanos);
      expect([path.toString(), is?.uid, is?.gid, is?.mtimeNs]).toEqual([
        ...[path.toString(), String(uid), String(gid), String(time)],
      ]);
    }
    const rdev = (major: number, minor: number): string => String(major * 256 + minor);
    expect([found.get('null')?.rdev, found.get('loop')?.rdev]).toEqual([rdev(1, 3), rdev(7, 200)]);
  });
});
