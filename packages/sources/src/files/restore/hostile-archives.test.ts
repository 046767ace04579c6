// Archives that are not ours: each is a clear error or comes out whole, and nothing is written outside the target.
import { execFile } from 'node:child_process';
import { lstat, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createMemberReader, type NewEntry, TAR_END, tarHeader } from '@tarfleet/archive';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { calm, service } from '../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from './testing-bench.ts';

const run = promisify(execFile);
let bench: Bench;
beforeEach(async () => {
  bench = await createBench();
  await makeFiles(bench.dir, { 'tree/file': 'as it is', 'outside/keep': 'precious' });
});
afterEach(() => bench.close());

type Kind = Parameters<typeof tarHeader>[0]['type'];
function entry(path: string, more: Partial<NewEntry> & { type?: Kind; link?: string } = {}): Buffer {
  const { link, type = 'file', ...rest } = more;
  return tarHeader({
    ...{ path: Buffer.from(path), type, size: 0, mode: 0o644, uid: 0, gid: 0, mtime: '1000000000' },
    linkTarget: link === undefined ? null : Buffer.from(link),
    ...rest,
  });
}

function file(path: string, content: string): Buffer {
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([entry(path, { size: content.length }), Buffer.from(content), padding]);
}

/** The header block with other bytes in it, and the checksum that fits them. */
function patched(header: Buffer, at: number, bytes: Buffer): Buffer {
  const changed = Buffer.from(header);
  bytes.copy(changed, at);
  changed.write('        ', 148);
  const sum = changed.reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return changed;
}

const link = (path: string, to: string, type: Kind = 'symlink') => entry(path, { type, link: to });
const SIZE = 124;
const negative = Buffer.alloc(12, 0xff);
const huge = Buffer.from('800000001000000000000000', 'hex');

/** What is restored of an archive, over the tree that is there. */
const restore = (archive: Buffer) =>
  bench.restore(service(['/tree']), {
    restorePath: bench.dir,
    openTar: async () => Readable.from([archive], { objectMode: false }),
  });

const MALFORMED = 'ARCHIVE_MALFORMED';
const FAILED = 'COMMAND_FAILED';
test.each<[string, () => Buffer[], string, RegExp]>([
  ['a name with ..', () => [file('tree/../outside/x', 'x')], MALFORMED, /leads out of the folder/],
  ['a name that is ..', () => [entry('tree/..', { type: 'directory' })], MALFORMED, /leads out of/],
  ['an absolute name', () => [file(join(bench.dir, 'outside/x'), 'x')], MALFORMED, /leads out of/],
  ['a hard link with ..', () => [link('tree/x', 'tree/../outside/keep', 'hardlink')], MALFORMED, /leads out/],
  [
    'a hard link to an absolute name',
    () => [link('tree/x', '/etc/passwd', 'hardlink')],
    MALFORMED,
    /leads out/,
  ],
  [
    'a file through a symlink that points outside',
    () => [link('tree/x', join(bench.dir, 'outside')), file('tree/x/planted', 'x')],
    FAILED,
    /tree\/x\/planted.*Not a directory/,
  ],
  [
    'a file through one that climbs',
    () => [link('tree/x', '../../../outside'), file('tree/x/planted', 'x')],
    FAILED,
    /tree\/x\/planted.*Not a directory/,
  ],
  [
    'a folder, and then a symlink in its place',
    () => [
      entry('tree/x', { type: 'directory', mode: 0o755 }),
      link('tree/x', join(bench.dir, 'outside')),
      file('tree/x/planted', 'x'),
    ],
    FAILED,
    /tree\/x\/planted.*Not a directory/,
  ],
  [
    'a hard link to a file behind a symlink',
    () => [link('tree/x', join(bench.dir, 'outside')), link('tree/y', 'tree/x/keep', 'hardlink')],
    FAILED,
    /Not a directory/,
  ],
  [
    'a device behind a symlink',
    () => [
      link('tree/x', join(bench.dir, 'outside')),
      entry('tree/x/null', { type: 'character-device', device: [1, 3] }),
    ],
    FAILED,
    /Not a directory/,
  ],
  [
    'a device with a content',
    () => [
      patched(
        entry('tree/null', { type: 'character-device', device: [1, 3] }),
        SIZE,
        Buffer.from('00000000012\0'),
      ),
    ],
    MALFORMED,
    /content in a character-device/,
  ],
  [
    'a part of a name with 300 bytes',
    () => [file(`tree/${'n'.repeat(300)}`, 'x')],
    FAILED,
    /File name too long/,
  ],
  ['a path of 5000 bytes', () => [file(`tree/${'d/'.repeat(2500)}x`, 'x')], FAILED, /File name too long/],
  ['a negative size', () => [patched(entry('tree/x'), SIZE, negative)], MALFORMED, /bad size/],
  [
    'a size beyond all numbers',
    () => [patched(entry('tree/x'), SIZE, Buffer.alloc(12, 0x9f))],
    MALFORMED,
    /bad size/,
  ],
  ['a size of an exabyte', () => [patched(entry('tree/x'), SIZE, huge)], MALFORMED, /bad size/],
  ['a size of a terabyte', () => [entry('tree/x', { size: 2 ** 40 })], MALFORMED, /ends too early/],
  [
    'a wrong checksum',
    () => [Buffer.from(entry('tree/x')).fill('9', 100, 104)],
    MALFORMED,
    /header checksum/,
  ],
  ['no tar at all', () => [Buffer.alloc(4096, 'no tar ')], MALFORMED, /checksum|magic/],
])('%s', async (_what, entries, code, message) => {
  const before = await snapshotTree(bench.dir);
  const archive = Buffer.concat([entry('tree', { type: 'directory', mode: 0o755 }), ...entries(), TAR_END]);
  await expect(restore(archive)).rejects.toMatchObject({
    ...{ name: 'AppError', code, retryable: false },
    message: expect.stringMatching(message),
  });
  expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  expect(await bench.leftovers()).toEqual([]);
});

test('a symlink to the outside that nothing leads through is a mere text, and a device is a device', async () => {
  const outside = join(bench.dir, 'outside');
  const before = await snapshotTree(outside);
  await restore(
    Buffer.concat([
      entry('tree', { type: 'directory', mode: 0o755 }),
      link('tree/link', outside),
      entry('tree/null', { type: 'character-device', device: [1, 3], mode: 0o600 }),
      file(`tree/${'d'.repeat(100)}/${'n'.repeat(195)}`, 'a path of 300 bytes'),
      TAR_END,
    ]),
  );
  const tree = join(bench.dir, 'tree');
  expect((await lstat(join(tree, 'link'))).isSymbolicLink()).toBe(true);
  const device = await stat(join(tree, 'null'));
  expect([device.isCharacterDevice(), device.mode & 0o777]).toEqual([true, 0o600]);
  expect(await readFile(join(tree, 'd'.repeat(100), 'n'.repeat(195)), 'utf8')).toBe('a path of 300 bytes');
  expect(compareTrees(before, await snapshotTree(outside))).toEqual([]);
  expect((await readdir(tree)).sort()).toEqual(['d'.repeat(100), 'link', 'null']);
});

test('a bomb of gzip: what its entries hold fills no more than the disk, zeros without end are none of tar', async () => {
  const small = join(bench.dir, 'small');
  await mkdir(small);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small]);
  try {
    const bomb = (head: Buffer): (() => Promise<Readable>) => {
      const stored = Buffer.concat([
        gzipSync(head),
        ...Array(16).fill(gzipSync(Buffer.alloc(64 << 20), { level: 1 })),
      ]);
      expect(stored.length).toBeLessThan(8 << 20);
      return async () => Readable.from([stored], { objectMode: false }).pipe(createMemberReader(calm()));
    };
    const folder = entry('tree', { type: 'directory', mode: 0o755 });
    const into = (openTar: () => Promise<Readable>) =>
      bench.restore(service(['/tree']), { restorePath: small, openTar });
    await expect(
      into(bomb(Buffer.concat([folder, entry('tree/zeros', { size: 2 ** 30 })]))),
    ).rejects.toMatchObject({
      code: 'INSUFFICIENT_STORAGE',
    });
    await expect(into(bomb(Buffer.concat([folder, file('tree/x', 'x'), TAR_END])))).rejects.toMatchObject({
      code: 'ARCHIVE_MALFORMED',
      message: expect.stringContaining('zeros without end'),
    });
    expect(await readdir(small)).toEqual([]);
  } finally {
    await run('umount', ['-l', small]);
  }
  await writeFile(join(bench.dir, 'tree/file'), 'still writable');
}, 60_000);
