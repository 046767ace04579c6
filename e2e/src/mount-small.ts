import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  setReadOnly(on: boolean): Promise<void>;
  unmount(): Promise<void>;
}

/** A file system of 8 MiB in a new folder, so that it can be full or read-only. Needs root. */
export async function mountSmall(path: string): Promise<SmallDisk> {
  await mkdir(path);
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0755', 'tmpfs', path]);
  } catch (cause) {
    throw new Error(
      'This test mounts a small file system, to see what a full and a read-only disk do. Run it as root, with the right to mount.',
      { cause },
    );
  }
  return {
    async setReadOnly(on) {
      await run('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, path]);
    },
    async unmount() {
      await run('umount', ['-l', path]);
    },
  };
}
