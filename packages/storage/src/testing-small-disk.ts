import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  path: string;
  /** Leaves room for so many bytes, or for all again. */
  fill(left: number): Promise<void>;
  free(): Promise<void>;
  unmount(): Promise<void>;
}

/** A file system of so many MiB in memory. Needs root. */
export async function mountSmallDisk(size: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'tarfleet-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}m,mode=0755`, 'tmpfs', path]);
  await chmod(path, 0o755);
  const filler = join(path, 'filler');
  return {
    path,
    async fill(left) {
      const { bavail, bsize } = await statfs(path);
      await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - left)));
    },
    free: () => rm(filler, { force: true }),
    async unmount() {
      await run('umount', ['-l', path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}
