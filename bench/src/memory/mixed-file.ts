import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const CHUNK = 4 * 1024 * 1024;

/** Writes a file of which every other piece is noise and the rest is text; no byte of it is a hole. Gives its SHA-256. */
export async function writeMixedFile(
  dir: string,
  name: string,
  bytes: number,
  signal: AbortSignal,
): Promise<string> {
  await mkdir(dir, { recursive: true });
  const file = await open(join(dir, name), 'wx');
  const hash = createHash('sha256');
  const noise = randomBytes(CHUNK);
  const line = 'Nov 21 05:24:03 host service[1234]: request from 192.0.2.17 took 12 ms\n';
  const text = Buffer.from(line.repeat(Math.ceil(CHUNK / line.length))).subarray(0, CHUNK);
  try {
    for (let written = 0, piece = 0; written < bytes; piece += 1) {
      signal.throwIfAborted();
      const source = piece % 2 === 0 ? noise : text;
      // Pieces are unlike each other, so that nothing compresses by repeating an earlier one.
      source.writeBigUInt64LE(BigInt(piece), (piece * 8) % (CHUNK - 8));
      const chunk = source.subarray(0, Math.min(CHUNK, bytes - written));
      hash.update(chunk);
      await file.writeFile(chunk);
      written += chunk.length;
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** The SHA-256 of the one file below a folder. */
export async function hashOfOnlyFile(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const [only, ...more] = files;
  if (!only || more.length > 0) throw new Error(`${dir} holds ${files.length} files, not one.`);
  const hash = createHash('sha256');
  const content = createReadStream(join(only.parentPath, only.name), { highWaterMark: CHUNK });
  for await (const chunk of content) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export async function assertFree(dir: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize > bytes) return;
  throw new Error(`This bench needs ${Math.ceil(bytes / 1e9)} GB free in ${dir}.`);
}
