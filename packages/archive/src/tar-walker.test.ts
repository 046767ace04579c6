import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, mkdir, mkdtemp, open, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createTarWalker } from './tar-walker.ts';
import { cut, through } from './test-streams.ts';
import type { TarEntry } from './types.ts';

const run = promisify(execFile);
const malformed = expect.objectContaining({ name: 'AppError', code: 'ARCHIVE_MALFORMED' });
const latin = (bytes: Buffer | null): string => bytes?.toString('latin1') ?? '';

async function walk(chunks: Iterable<Buffer>): Promise<{ entries: TarEntry[]; output: Buffer }> {
  const entries: TarEntry[] = [];
  const output = await through(chunks, createTarWalker({ onEntry: (entry) => entries.push(entry) }));
  return { entries, output };
}

interface Fields {
  name?: string;
  type?: string;
  size?: number | Buffer;
  content?: Buffer;
  link?: string;
  magic?: string;
  prefix?: string;
  checksum?: string;
  mtime?: Buffer;
  more?: (block: Buffer) => void;
}

/** An entry as raw blocks, right unless told otherwise. */
function entry(fields: Fields = {}): Buffer {
  const block = Buffer.alloc(512);
  const content = fields.content ?? Buffer.alloc(0);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  block.write(fields.name ?? 'file', 0, 100, 'latin1');
  block.write(octal(0o644, 7), 100);
  block.write(octal(1000, 7), 108);
  block.write(octal(1001, 7), 116);
  const size = fields.size ?? content.length;
  if (typeof size === 'number') block.write(octal(size, 11), 124);
  else size.copy(block, 124);
  if (fields.mtime) fields.mtime.copy(block, 136);
  else block.write(octal(1_700_000_000, 11), 136);
  block.write(fields.type ?? '0', 156, 1, 'latin1');
  block.write(fields.link ?? '', 157, 100, 'latin1');
  block.write(fields.magic ?? 'ustar\x0000', 257, 8, 'latin1');
  block.write(fields.prefix ?? '', 345, 155, 'latin1');
  fields.more?.(block);
  block.write('        ', 148, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(fields.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

const END = Buffer.alloc(1024);
const pax = (records: string, type = 'x'): Buffer =>
  entry({ type, name: 'PaxHeader', content: Buffer.from(records, 'latin1') });
function record(key: string, value: string): string {
  let length = key.length + value.length + 3;
  while (String(length).length + key.length + value.length + 3 !== length) length += 1;
  return `${length} ${key}=${value}\n`;
}

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-walker-'));
  const deep = join(dir, 'tree', ...Array.from({ length: 30 }, () => 'a-long-folder-name'));
  await mkdir(deep, { recursive: true });
  await writeFile(join(deep, 'leaf'), 'leaf');
  await writeFile(Buffer.from(`${dir}/tree/caf\xe9 \n "x"`, 'latin1'), 'bytes');
  await writeFile(join(dir, 'tree/empty'), '');
  await writeFile(join(dir, 'tree/noise'), randomBytes(100_000));
  await utimes(join(dir, 'tree/empty'), 1_600_000_000.25, 1_600_000_000.25);
  await symlink('nowhere', join(dir, 'tree/dangling'));
  await symlink('l'.repeat(300), join(dir, 'tree/long-target'));
  await link(join(dir, 'tree/noise'), join(dir, 'tree/second-name'));
  await run('mkfifo', [join(dir, 'tree/fifo')]);
  // More islands than the four that an old GNU header has room for.
  const sparse = await open(join(dir, 'tree/sparse'), 'w');
  for (let island = 0; island < 40; island += 1) await sparse.write('island', island * 1_000_000);
  await sparse.truncate(50_000_000);
  await sparse.close();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function tar(...options: string[]): Promise<Buffer> {
  const { stdout } = await run('tar', ['-C', dir, ...options, '-cf', '-', 'tree'], {
    encoding: 'buffer',
    maxBuffer: 1 << 28,
  });
  return stdout;
}

describe('archives of GNU tar', () => {
  test.each([
    ['pax'],
    ['gnu'],
    ['pax', '--sparse'],
    ['pax', '--sparse', '--sparse-version=0.0'],
    ['pax', '--sparse', '--sparse-version=0.1'],
    ['gnu', '--sparse'],
    ['oldgnu', '--sparse'],
  ])('%s %s %s', async (format, ...more) => {
    const bytes = await tar(`--format=${format}`, ...more.filter((option) => option !== undefined));
    const { entries, output } = await walk(cut(bytes, [1, 511, 512, 513, 10_000, 70_001]));
    expect(output.equals(bytes)).toBe(true);
    const byName = new Map(entries.map((found) => [latin(found.path), found]));
    const { stdout } = await run('find', [`${dir}/tree`, '-printf', 'tree/%P\\0'], { encoding: 'latin1' });
    const names = [...byName.keys()].map((name) => name.replace(/\/$/, '')).sort();
    const found = stdout.split('\0').filter(Boolean);
    expect(names).toEqual(found.map((name) => name.replace(/\/$/, '')).sort());
    expect(byName.get('tree/caf\xe9 \n "x"')).toMatchObject({ type: 'file', size: 5 });
    expect(byName.get('tree/empty')?.mtime).toBe(format === 'pax' ? 1_600_000_000.25 : 1_600_000_000);
    expect(byName.get('tree/sparse')).toMatchObject({ type: 'file', size: 50_000_000 });
    expect(latin(byName.get('tree/long-target')?.linkTarget ?? null)).toBe('l'.repeat(300));
    expect(byName.get('tree/dangling')).toMatchObject({ type: 'symlink', size: 0 });
    expect(byName.get('tree/fifo')).toMatchObject({ type: 'fifo' });
    const noise = [byName.get('tree/noise'), byName.get('tree/second-name')];
    expect(noise.map((one) => one?.type).sort()).toEqual(['file', 'hardlink']);
    for (const one of entries) {
      // Each entry begins where it says: the archive from there on is an archive.
      const rest = await walk([bytes.subarray(one.offset)]);
      expect(latin(rest.entries[0]?.path ?? null)).toBe(latin(one.path));
    }
  });

  test('a cut stream is never whole', async () => {
    const { stdout } = await run('tar', ['-C', dir, '--format=pax', '-b1', '-cf', '-', 'tree/empty'], {
      encoding: 'buffer',
    });
    for (let length = 0; length < stdout.length; length += 1) {
      await expect(walk([stdout.subarray(0, length)])).rejects.toEqual(malformed);
    }
    await walk([stdout]);
  });
});

describe('headers', () => {
  test('an empty archive is whole, also with more padding', async () => {
    expect((await walk([END])).entries).toEqual([]);
    expect((await walk(cut(Buffer.alloc(200_000), [70_000]))).entries).toEqual([]);
  });

  test('ustar prefix, base 256 numbers, times before 1970', async () => {
    const big = Buffer.alloc(12);
    big[0] = 0x80;
    const early = Buffer.alloc(12, 0xff);
    const { entries } = await walk([
      entry({ prefix: 'some/where', name: 'x', size: big, mtime: early }),
      entry({ name: 'old', magic: '\0\0\0\0\0\0\0\0', type: '\0' }),
      entry({ name: 'old-folder/', magic: '\0\0\0\0\0\0\0\0', type: '\0' }),
      END,
    ]);
    expect(entries.map((one) => [latin(one.path), one.type, one.mtime])).toEqual([
      ['some/where/x', 'file', -1],
      ['old', 'file', 1_700_000_000],
      ['old-folder/', 'directory', 1_700_000_000],
    ]);
    expect(entries[0]).toMatchObject({ uid: 1000, gid: 1001, mode: 0o644, offset: 0 });
    expect(entries[1]?.offset).toBe(512);
  });

  test('pax records win; global ones hold until the end', async () => {
    const { entries } = await walk([
      pax(record('uid', '70000') + record('mtime', '5.5'), 'g'),
      pax(record('path', 'caf\xe9') + record('size', '3') + record('mtime', '-2.25')),
      entry({ content: Buffer.from('abc'), size: 0 }),
      entry(),
      END,
    ]);
    expect(entries[0]).toMatchObject({ size: 3, mtime: -2.25, uid: 70000, offset: 1024 });
    expect(latin(entries[0]?.path ?? null)).toBe('caf\xe9');
    expect(entries[1]).toMatchObject({ mtime: 5.5, uid: 70000, path: Buffer.from('file') });
  });

  test.each<[string, Buffer[]]>([
    ['nothing at all', []],
    ['one zero block', [Buffer.alloc(512)]],
    ['an entry after one zero block', [Buffer.alloc(512), entry(), END]],
    ['data after the end', [END, entry()]],
    ['a single byte after the end', [END, Buffer.from([1])]],
    ['no end', [entry()]],
    ['a wrong checksum', [entry({ checksum: '000001\0 ' }), END]],
    ['an empty checksum', [entry({ checksum: '        ' }), END]],
    ['an unknown magic', [entry({ magic: 'ustar\0zz' }), END]],
    ['an unknown type', [entry({ type: 'Z' }), END]],
    ['a part of a multi-volume file', [entry({ type: 'M', magic: 'ustar  \0' }), END]],
    ['a number that is none', [entry({ more: (block) => block.write('12x', 108) }), END]],
    ['a size over 2^53', [entry({ size: Buffer.alloc(12, 0x9f) }), END]],
    ['a negative size', [entry({ size: Buffer.alloc(12, 0xff) }), END]],
    ['content in a hard link', [entry({ type: '1', link: 'x', content: Buffer.from('y') }), END]],
    ['a huge size, and then the end', [entry({ size: 0o77777777777 }), END]],
    ['a huge size in a record', [pax(record('size', '9'.repeat(30))), entry(), END]],
    ['a huge negative size', [pax(record('size', `-${'9'.repeat(30)}`)), entry(), END]],
    ['content in a device', [entry({ type: '3', content: Buffer.from('y') }), END]],
    ['content in a folder', [entry({ type: '5', content: Buffer.from('y') }), END]],
    ['a link to nothing', [entry({ type: '2' }), END]],
    ['no name', [entry({ name: '' }), END]],
    ['an extended header without an entry', [pax(record('path', 'x')), END]],
    ['two extended headers', [pax(record('path', 'x')), pax(record('path', 'y')), entry(), END]],
    ['a NUL in a path', [pax(record('path', 'a\0b')), entry(), END]],
    ['a NUL in a link', [pax(record('linkpath', 'a\0b')), entry({ type: '2', link: 'x' }), END]],
    ['a NUL in a sparse name', [pax(record('GNU.sparse.name', 'a\0b')), entry(), END]],
    ['a path for every entry', [pax(record('path', 'x'), 'g'), entry(), END]],
    ['a size for every entry', [pax(record('size', '1'), 'g'), entry(), END]],
    ['a record that is too long', [pax('99 path=x\n'), entry(), END]],
    ['a record without a newline', [pax('9 path=x!'), entry(), END]],
    ['a record without a length', [pax('path=x\n'), entry(), END]],
    ['a record of length 0', [pax('0 path=x\n'), entry(), END]],
    ['a size that is no number', [pax(record('size', '0x10')), entry(), END]],
    ['a size below zero', [pax(record('size', '-1')), entry(), END]],
    [
      'two long names',
      [entry({ type: 'L', content: Buffer.from('a\0') }), pax(record('path', 'b')), entry(), END],
    ],
    ['an extended header over 1 MiB', [entry({ type: 'x', size: 1024 * 1024 + 1 }), END]],
  ])('%s is malformed', async (_what, chunks) => {
    await expect(walk(chunks)).rejects.toEqual(malformed);
    await expect(walk(cut(Buffer.concat(chunks), 'bytes'))).rejects.toEqual(malformed);
  });

  test('what would fill the memory, or never end, is malformed', async () => {
    // Each is small when it is compressed. Padding of some MiB is none of them.
    expect((await walk([END, Buffer.alloc(8 << 20)])).entries).toEqual([]);
    await expect(walk([END, Buffer.alloc(17 << 20)])).rejects.toEqual(malformed);
    const comment = (n: number): Buffer => pax(record(`comment.${n}`, 'x'.repeat(300_000)), 'g');
    expect((await walk([comment(1), comment(1), comment(1), comment(1), entry(), END])).entries).toHaveLength(
      1,
    );
    await expect(walk([0, 1, 2, 3].map(comment))).rejects.toEqual(malformed);
  });

  test('a name of 300 bytes comes back', async () => {
    const name = `${'d'.repeat(40)}/${'n'.repeat(259)}`;
    const long = entry({ type: 'L', content: Buffer.from(`${name}\0`), magic: 'ustar  \0' });
    for (const before of [pax(record('path', name)), long]) {
      const magic = before === long ? 'ustar  \0' : 'ustar\x0000';
      const { entries } = await walk([before, entry({ magic }), END]);
      expect(entries.map((found) => latin(found.path))).toEqual([name]);
    }
  });

  test('what onEntry refuses is not passed on', async () => {
    const good = entry({ name: 'good' });
    for (const chunks of [
      [good, entry({ name: '../bad' }), END],
      cut(Buffer.concat([good, entry({ name: '../bad' }), END]), 'bytes'),
    ]) {
      const walker = createTarWalker({
        onEntry(found) {
          if (found.path.includes('..')) throw new Error('refused');
        },
      });
      const seen: Buffer[] = [];
      walker.on('data', (chunk: Buffer) => seen.push(chunk));
      await expect(through(chunks, walker)).rejects.toThrow('refused');
      expect(Buffer.concat(seen).length).toBeLessThan(good.length + 512);
    }
  });
});

test('any entries come back, cut anywhere', async () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((raw) => raw.map((byte) => byte || 1));
  const one = fc.record({ path: bytes, content: fc.uint8Array({ maxLength: 1500 }), style: fc.nat(1) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(one, { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      async (list, at) => {
        const parts = list.map(({ path, content, style }) => {
          const name = Buffer.from(path).toString('latin1');
          const before =
            style === 0
              ? pax(record('path', name))
              : entry({ type: 'L', content: Buffer.from(`${name}\0`, 'latin1'), magic: 'ustar  \0' });
          const magic = style === 0 ? 'ustar\x0000' : 'ustar  \0';
          const type = name.endsWith('/') ? '5' : '0';
          const body = type === '5' ? Buffer.alloc(0) : Buffer.from(content);
          return Buffer.concat([before, entry({ type, magic, content: body })]);
        });
        const whole = Buffer.concat([...parts, END]);
        const { entries, output } = await walk(cut(whole, at));
        expect(output.equals(whole)).toBe(true);
        expect(entries.map((found) => latin(found.path))).toEqual(
          list.map(({ path }) => Buffer.from(path).toString('latin1')),
        );
      },
    ),
    { numRuns: 200 },
  );
});
