import { execFile } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { chmod, chown, link, mkdir, open, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findTool } from './tools.ts';

const run = promisify(execFile);
const WORDS =
  'const return import server backup archive stream buffer value request answer error signal worker queue index restore table select insert update where function class extends static public void string number while await async event listen close open read write'.split(
    ' ',
  );

/**
 * About `bytes` of files like those of a real server: source text, binaries, logs, media that cannot be
 * compressed; the same for the same seed.
 */
export async function makeRealisticTree(dir: string, bytes: number, seed: number): Promise<void> {
  const random = createRandom(seed);
  let written = 0;
  let index = 0;
  while (written < bytes) {
    const kind = random.number(100);
    const folder = join(dir, `module-${random.number(40)}`, `part-${random.number(12)}`);
    await mkdir(folder, { recursive: true });
    let name: string;
    let content: Buffer;
    if (kind < 80) {
      name = `file-${index}.js`;
      content = text(random, 500 + random.number(16_000));
    } else if (kind < 92) {
      name = `library-${index}.so`;
      content = Buffer.concat([
        text(random, 20_000),
        random.bytes(10_000 + random.number(40_000)),
        Buffer.alloc(20_000),
      ]);
    } else if (kind < 97) {
      name = `image-${index}.jpg`;
      content = random.bytes(50_000 + random.number(600_000));
    } else {
      name = `access-${index}.log`;
      content = log(random, 200_000 + random.number(900_000));
    }
    const path = join(folder, name);
    await writeFile(path, content, { mode: random.number(10) === 0 ? 0o755 : 0o640 });
    const when = 1_500_000_000 + random.number(200_000_000) + random.number(1000) / 1000;
    await utimes(path, when, when);
    written += content.length;
    index += 1;
  }
}

/** Entries with unpleasant names and of every kind that an archive can hold. As root, foreign owners and devices too. */
export async function makeNastyTree(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const at = (name: string | Buffer): Buffer => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name)]);
  const names: (string | Buffer)[] = [
    ...[
      'with space',
      ' leading',
      'trailing ',
      'new\nline',
      'tab\there',
      "quo'te",
      'dou"ble',
      'back\\slash',
      '\\n',
    ],
    ...[
      '-dash',
      '--option=x',
      '*',
      '?',
      '[a]',
      '$HOME',
      '`id`',
      '#',
      '~',
      'ünïcödé',
      '日本語',
      '%s',
      'a:b',
      '.hidden',
    ],
    Buffer.from([0xff, 0xfe, 0x0a, 0x41]),
    Buffer.from([0xc3, 0x28]),
    'x'.repeat(255),
  ];
  for (const name of names) await writeFile(at(name), Buffer.from(name));
  await mkdir(at('folder with\nnewline/inner'), { recursive: true });
  await writeFile(at('folder with\nnewline/inner/-file'), 'in it');
  await mkdir(at('empty folder'));
  await writeFile(at('empty file'), '');
  let deep = dir;
  for (let depth = 0; depth < 60; depth += 1) deep = join(deep, `level-${depth}`);
  await mkdir(deep, { recursive: true });
  await writeFile(join(deep, 'bottom'), 'deep down');
  await writeFile(at('hard-1'), 'one content, three names');
  await link(at('hard-1'), at('hard-2'));
  await link(at('hard-1'), at('folder with\nnewline/hard-3'));
  await symlink('hard-1', at('link-relative'));
  await symlink('/nowhere/at/all', at('link-dangling'));
  await symlink('empty folder', at('link-to-folder'));
  await symlink('/etc', at('link-outside'));
  const sparse = await open(at('sparse'), 'w');
  await sparse.write(Buffer.from('begin'), 0, 5, 0);
  await sparse.write(Buffer.from('end'), 0, 3, 16 << 20);
  await sparse.close();
  await run('mkfifo', [join(dir, 'fifo')]);
  await writeFile(at('setuid'), '#!/bin/sh\n');
  await chmod(at('setuid'), 0o4755);
  await mkdir(at('sticky'));
  await chmod(at('sticky'), 0o1777);
  await writeFile(at('read-only'), 'no writing', { mode: 0o400 });
  if (process.getuid?.() === 0) await addRootOnly(dir, at);
  await run('touch', [
    '-d',
    '2001-02-03T04:05:06.123456789Z',
    '--',
    join(dir, 'with space'),
    join(dir, 'sticky'),
  ]);
  await run('touch', ['-h', '-d', '2002-02-03T04:05:06.987654321Z', '--', join(dir, 'link-dangling')]);
  await mkdir(at('read-only folder'));
  await writeFile(at('read-only folder/file'), 'x');
  await chmod(at('read-only folder'), 0o555);
}

async function addRootOnly(dir: string, at: (name: string) => Buffer): Promise<void> {
  await writeFile(at('foreign'), 'owned by nobody we know');
  await chown(at('foreign'), 12345, 54321);
  await mkdir(at('foreign folder'));
  await chown(at('foreign folder'), 12345, 54321);
  await run('mknod', [join(dir, 'null-device'), 'c', '1', '3']);
  // Not every filesystem has them; where it has, they must survive.
  const attempt = async (tool: string, args: string[]): Promise<void> => {
    if (await findTool(tool)) await run(tool, args).catch(() => undefined);
  };
  await attempt('setfattr', ['-n', 'user.note', '-v', 'kept', join(dir, 'foreign')]);
  await attempt('setfacl', ['-m', 'u:12345:r', join(dir, 'foreign')]);
}

function text(random: Random, bytes: number): Buffer {
  const lines: string[] = [];
  for (let length = 0; length < bytes; ) {
    const words = Array.from({ length: 4 + random.number(8) }, () => WORDS[random.number(WORDS.length)]);
    const line = `  ${words.join(' ')} = ${random.number(1_000_000)};`;
    lines.push(line);
    length += line.length + 1;
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

function log(random: Random, bytes: number): Buffer {
  const lines: string[] = [];
  for (let length = 0; length < bytes; ) {
    const line = `10.0.${random.number(256)}.${random.number(256)} - - [21/Nov/2026:04:05:${random.number(60)} +0000] "GET /api/items/${random.number(100_000)} HTTP/1.1" 200 ${random.number(50_000)} "-" "Mozilla/5.0 (X11; Linux x86_64)"`;
    lines.push(line);
    length += line.length + 1;
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

interface Random {
  /** From 0 to below `limit`. */
  number(limit: number): number;
  bytes(count: number): Buffer;
}

/** AES-CTR over zeros: fast, and the same for the same seed. */
function createRandom(seed: number): Random {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const bytes = (count: number): Buffer => cipher.update(Buffer.alloc(count));
  return { number: (limit) => bytes(4).readUInt32BE() % limit, bytes };
}
