import { access, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requireTools } from './tools.ts';

/** The clock of every process that is started with its environment. It goes on at its own pace from where it is set. */
export interface FakeClock {
  /** For processes: without it they see the real time. */
  env: Record<string, string>;
  /** What those processes take the time to be. */
  now(): Date;
  /** Sets it, forward or back, for all of them at the same moment. */
  set(time: Date): Promise<void>;
  /** Removes what killed processes have left; after the last one has ended. */
  close(): Promise<void>;
}

/**
 * A clock by Debian's libfaketime, set by a file in `dir`, which every user must be able to read. Timers go by the
 * monotonic clock, which stays real, and so do the times of files.
 */
export async function createFakeClock(dir: string, start: Date): Promise<FakeClock> {
  await requireTools(['faketime']);
  const path = join(dir, 'clock');
  let aheadMs = 0;
  const set = async (time: Date): Promise<void> => {
    // Whole seconds, as the file has them.
    aheadMs = Math.ceil((time.getTime() - Date.now()) / 1000) * 1000;
    await writeFile(`${path}.new`, `${aheadMs < 0 ? '' : '+'}${aheadMs / 1000}\n`, { mode: 0o644 });
    await rename(`${path}.new`, path);
  };
  await set(start);
  return {
    env: {
      // Named as in the package's own wrapper: found for any architecture.
      LD_PRELOAD: await findLibrary(),
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    },
    now: () => new Date(Date.now() + aheadMs),
    set,
    close: removeLeftOvers,
  };
}

/** The variant for programs with several threads, where Debian keeps it. */
async function findLibrary(): Promise<string> {
  for (const machine of ['x86_64-linux-gnu', 'aarch64-linux-gnu']) {
    const path = `/usr/lib/${machine}/faketime/libfaketimeMT.so.1`;
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new Error('libfaketimeMT.so.1 is not where Debian keeps it; the tests of schedules need it.');
}

/** Each process has two files in shared memory, named by its id, and removes them unless it is killed. */
async function removeLeftOvers(): Promise<void> {
  for (const name of await readdir('/dev/shm')) {
    const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join('/dev/shm', name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
