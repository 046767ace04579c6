import { createCipheriv } from 'node:crypto';
import { chmod, mkdir, open, utimes } from 'node:fs/promises';
import { join } from 'node:path';

const WORDS =
  'const return import server backup archive stream buffer value request answer error signal worker queue index restore table select insert update where function class extends static public void string number while await async event listen close open read write'.split(
    ' ',
  );
const EXTENSIONS = ['js', 'ts', 'css', 'html', 'json', 'md', 'py', 'xml', 'php', 'conf'];
const FILE_MODES = [0o644, 0o644, 0o644, 0o640, 0o600, 0o664, 0o755, 0o444];
const FOLDER_MODES = [0o755, 0o755, 0o750, 0o700, 0o2775];
const AVERAGE_FILE_BYTES = 40_000;
/** Files written at a time: enough to keep a disk busy, few enough to hold in memory. */
const BATCH = 16;

/**
 * Fills `dir` with `bytes` of files like those of a real server, about one per 40 kB: source text, binaries,
 * a few big logs, media that cannot be compressed, in nested folders. The same seed (an integer from 0 to
 * 2^32 - 1) makes the same names, contents, modes and times, those of the folders included.
 */
export async function makeRealisticTree(dir: string, bytes: number, seed: number): Promise<void> {
  const random = createRandom(seed);
  const folders = await makeFolders(dir, Math.max(4, Math.round(bytes / AVERAGE_FILE_BYTES / 12)), random);
  let left = bytes;
  for (let index = 0; left > 0; ) {
    const batch: Promise<void>[] = [];
    for (; batch.length < BATCH && left > 0; index += 1) {
      const { name, content } = makeFile(random, index, bytes / 10);
      const kept = content.subarray(0, left);
      left -= kept.length;
      const path = join(random.pick(folders), name);
      batch.push(write(path, kept, random.pick(FILE_MODES), random.time()));
    }
    await Promise.all(batch);
  }
  for (const folder of folders) {
    if (folder !== dir) await chmod(folder, random.pick(FOLDER_MODES));
    const time = random.time();
    await utimes(folder, time, time);
  }
}

async function makeFolders(dir: string, count: number, random: Random): Promise<string[]> {
  await mkdir(dir, { recursive: true });
  const folders = [dir];
  for (let index = 0; index < count; index += 1) {
    const path = join(random.pick(folders), `${random.pick(WORDS)}-${index}`);
    await mkdir(path);
    folders.push(path);
  }
  return folders;
}

async function write(path: string, content: Buffer, mode: number, time: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    // Not as an option of open: the umask would change it.
    await file.chmod(mode);
    await file.utimes(time, time);
  } finally {
    await file.close();
  }
}

/** No file is larger than `limit`, so that small trees have some of each kind too. */
function makeFile(random: Random, index: number, limit: number): { name: string; content: Buffer } {
  const name = `${random.pick(WORDS)}-${index}`;
  const kind = random.number(1000);
  const size = (least: number, most: number): number =>
    Math.max(1, Math.floor(Math.min(least + random.number(most - least), limit)));
  if (kind < 6) return { name: `${name}.log`, content: lines(size(1_000_000, 4_000_000), logLine, random) };
  if (kind < 46) return { name: `${name}.jpg`, content: random.bytes(size(50_000, 550_000)) };
  if (kind < 166) {
    const part = Math.ceil(size(20_000, 100_000) / 3);
    const content = [lines(part, codeLine, random), random.bytes(part), Buffer.alloc(part)];
    return { name: `${name}.so`, content: Buffer.concat(content) };
  }
  const content = lines(size(300, 13_000), codeLine, random);
  return { name: `${name}.${random.pick(EXTENSIONS)}`, content };
}

function lines(bytes: number, line: (random: Random) => string, random: Random): Buffer {
  const parts: string[] = [];
  for (let length = 0; length < bytes; ) {
    const next = line(random);
    parts.push(next);
    length += next.length;
  }
  return Buffer.from(parts.join(''), 'latin1').subarray(0, bytes);
}

function codeLine(random: Random): string {
  const word = (): string => random.pick(WORDS);
  return `  ${word()} ${word()}.${word()}(${word()}, ${word()}) = ${random.number(1_000_000)};\n`;
}

function logLine(random: Random): string {
  const second = String(random.number(60)).padStart(2, '0');
  const address = `10.0.${random.number(256)}.${random.number(256)}`;
  const request = `GET /api/${random.pick(WORDS)}/${random.number(100_000)} HTTP/1.1`;
  return `${address} - - [21/Nov/2025:04:05:${second} +0000] "${request}" 200 ${random.number(50_000)} "-" "Mozilla/5.0"\n`;
}

interface Random {
  /** An integer from 0 to below `limit`. */
  number(limit: number): number;
  bytes(count: number): Buffer;
  pick<T>(items: readonly T[]): T;
  /** Seconds since 1970, with milliseconds, between 2017 and 2023. */
  time(): number;
}

/** AES-CTR over zeros: fast in bulk, and the same for the same seed. */
function createRandom(seed: number): Random {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const bytes = (count: number): Buffer => cipher.update(Buffer.alloc(count));
  // Numbers come from a block made in advance: a call of the cipher for each took most of the time.
  let block: Buffer = Buffer.alloc(0);
  let used = 0;
  const number = (limit: number): number => {
    if (used >= block.length) {
      block = bytes(1 << 16);
      used = 0;
    }
    used += 4;
    return block.readUInt32LE(used - 4) % limit;
  };
  const pick = <T>(items: readonly T[]): T => items[number(items.length)] as T;
  const time = (): number => 1_500_000_000 + number(200_000_000) + number(1000) / 1000;
  return { number, bytes, pick, time };
}
