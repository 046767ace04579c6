import { createCipheriv } from 'node:crypto';
import { copyFile, lstat, mkdir, open, readdir, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';

export interface Corpus {
  /** Everything below it. */
  dir: string;
  /** Programs and logs. */
  compressible: string;
  /** What no compression makes shorter. */
  media: string;
}

const MB = 1_000_000;
const APPS_BYTES = 550 * MB;
const LOGS_BYTES = 450 * MB;
const MEDIA_BYTES = 400 * MB;
const DOUBLED_BYTES = 150 * MB;
/** Where a Debian machine has programs and libraries. */
const APP_ROOTS = ['/usr/bin', '/usr/share', '/usr/lib'];
const LARGEST = 64 * MB;

/**
 * At least 1.5 GB: programs and libraries of this machine, generated logs, noise that stands for media, and a tenth
 * of it once more with equal attributes. Generated parts are the same each time.
 */
export async function makeCorpus(dir: string, signal: AbortSignal): Promise<Corpus> {
  const compressible = join(dir, 'compressible');
  const media = join(dir, 'media');
  const logs = join(compressible, 'logs');
  const doubled = join(dir, 'doubled');
  for (const folder of [logs, media, doubled]) await mkdir(folder, { recursive: true });
  const apps = await copyApps(join(compressible, 'apps'), signal);
  await writeLogs(logs, signal);
  await writeMedia(media, signal);
  let left = DOUBLED_BYTES;
  for (const [number, path] of apps.entries()) {
    if (number % 3 !== 0 || left <= 0) continue;
    left -= await copyWithTimes(path, join(doubled, String(number)));
  }
  return { dir, compressible, media };
}

async function copyApps(to: string, signal: AbortSignal): Promise<string[]> {
  const copied: string[] = [];
  let left = APPS_BYTES;
  const folders = [...APP_ROOTS];
  for (let folder = folders.shift(); folder !== undefined && left > 0; folder = folders.shift()) {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      signal.throwIfAborted();
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile() || left <= 0) continue;
      const { size } = await lstat(path);
      if (size > LARGEST) continue;
      const target = join(to, relative('/', path));
      await mkdir(join(target, '..'), { recursive: true });
      left -= await copyWithTimes(path, target);
      copied.push(target);
    }
  }
  return copied;
}

/** Gives its size. */
async function copyWithTimes(from: string, to: string): Promise<number> {
  const { size, mtime } = await lstat(from);
  await copyFile(from, to);
  await utimes(to, mtime, mtime);
  return size;
}

const PATHS = ['login', 'cart', 'search?q=shoes', 'items/42', 'static/app.js', 'health'];
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64)', 'curl/8.5.0', 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_1)'];

async function writeLogs(dir: string, signal: AbortSignal): Promise<void> {
  const random = createRandom(7);
  const number = (below: number): number => random(4).readUInt32LE() % below;
  for (let file = 0; file < 9; file += 1) {
    const out = await open(join(dir, `access-${file}.log`), 'w');
    try {
      for (let left = LOGS_BYTES / 9; left > 0; ) {
        signal.throwIfAborted();
        let text = '';
        while (text.length < MB) {
          const ip = `10.${number(4)}.${number(256)}.${number(256)}`;
          const path = PATHS[number(PATHS.length)];
          const agent = AGENTS[number(AGENTS.length)];
          text += `${ip} - - [21/Nov/2026:0${number(10)}:${number(60)}:${number(60)} +0000] "GET /${path} HTTP/1.1" 200 ${number(50_000)} ${number(1_000) / 1000} "${agent}" ${random(8).toString('hex')}\n`;
        }
        await out.write(text);
        left -= text.length;
      }
    } finally {
      await out.close();
    }
  }
}

async function writeMedia(dir: string, signal: AbortSignal): Promise<void> {
  const random = createRandom(11);
  for (let left = MEDIA_BYTES, file = 0; left > 0; file += 1) {
    signal.throwIfAborted();
    const size = 500_000 + (random(4).readUInt32LE() % 6_000_000);
    const out = await open(join(dir, `picture-${file}.jpg`), 'w');
    await out.write(random(size));
    await out.close();
    left -= size;
  }
}

/** AES-CTR over zeros: the same for the same seed. */
function createRandom(seed: number): (bytes: number) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return (bytes) => cipher.update(Buffer.alloc(bytes));
}

/** Many small files, a hundred in a folder. */
export async function makeSmallFiles(dir: string, count: number, signal: AbortSignal): Promise<void> {
  for (let file = 0; file < count; file += 1) {
    const folder = join(dir, String(Math.floor(file / 100)));
    if (file % 100 === 0) {
      signal.throwIfAborted();
      await mkdir(folder, { recursive: true });
    }
    const out = await open(join(folder, `file-${file}.txt`), 'w');
    await out.write(`file ${file}\n`.repeat(20));
    await out.close();
  }
}
