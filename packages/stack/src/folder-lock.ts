import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderLock {
  /** The last owner was killed: processes of its may still be ending. */
  takenOver: boolean;
  release(): Promise<void>;
}

/**
 * Makes this process the only stack on a folder: a second one would end the first one's Postgres, taking it for one
 * that was left behind. The lock is a file with its owner's process; that of an owner who is gone is taken over.
 * Throws when the owner lives.
 */
export async function lockFolder(dir: string): Promise<FolderLock> {
  const path = join(dir, 'stack.lock');
  const mine = `${path}.${process.pid}.part`;
  const text = await describe(process.pid);
  await writeFile(mine, text, { mode: 0o644 });
  try {
    const takenOver = await removeStale(dir, path, mine);
    // Unlike a rename, a link never replaces the lock of somebody who was quicker.
    await link(mine, path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' ? inUse(dir, 'another process') : error;
    });
    return {
      takenOver,
      async release() {
        if ((await read(path)) === text) await rm(path, { force: true });
      },
    };
  } finally {
    await rm(mine, { force: true });
  }
}

/** Whether there was a lock of an owner who is gone; throws when its owner lives. */
async function removeStale(dir: string, path: string, mine: string): Promise<boolean> {
  const found = await read(path);
  if (found === null) return false;
  const pid = Number(found.split(' ')[0]);
  if (await lives(pid, found)) throw inUse(dir, `process ${pid}`);
  const aside = `${mine}.stale`;
  try {
    await rename(path, aside);
    // Another starter may have put its own lock there since: it gets it back.
    if ((await read(aside)) !== found) await link(aside, path);
  } catch (error) {
    // Another starter was quicker; the link above tells who won.
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await rm(aside, { force: true });
  }
  return true;
}

async function lives(pid: number, text: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    // It lives and belongs to somebody else.
  }
  return (await describe(pid)) === text;
}

/** A process id comes back, after a restart of the machine or of a container often; with its start and the machine's it does not. */
async function describe(pid: number): Promise<string> {
  const boot = await read('/proc/sys/kernel/random/boot_id');
  const stat = await read(`/proc/${pid}/stat`);
  // The name of the program, in brackets, may hold anything; the start is the 20th field behind it.
  const started = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return boot && started ? `${pid} ${boot.trim()} ${started}\n` : `${pid}\n`;
}

async function read(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

function inUse(dir: string, owner: string): Error {
  return new Error(
    `The folder ${dir} is in use by a Tarfleet that runs already (${owner}). Stop that one first, or choose another folder (TARFLEET_DIR).`,
  );
}
