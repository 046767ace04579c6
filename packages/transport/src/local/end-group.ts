import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '@tarfleet/kernel';

const TERM_GRACE_MS = 2000;
/** A process that waits for a disk answers no signal until it has its answer. */
const KILL_GRACE_MS = 500;
const POLL_MS = 25;

/** Ends a process group of this machine: TERM, then KILL for what is left after 2 s. Resolves when it is gone. */
export async function endGroup(group: number): Promise<void> {
  signalGroup(group, 'SIGTERM');
  if (await isGone(group, TERM_GRACE_MS)) return;
  signalGroup(group, 'SIGKILL');
  await isGone(group, KILL_GRACE_MS);
}

async function isGone(group: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (!signalGroup(group, 0) || !(await hasLiving(group))) return true;
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
}

/** False when nothing of the group is left. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

/** Whether the group has more than zombies, which answer to signals until their parent notices them. */
async function hasLiving(group: number): Promise<boolean> {
  const ids = await readdir('/proc').catch(() => null);
  if (ids === null) return true;
  for (const id of ids) {
    if (!/^\d+$/.test(id)) continue;
    // It may have ended since it was listed.
    const stat = await readFile(`/proc/${id}/stat`, 'utf8').catch(() => '');
    // After the name, which may hold anything: state, parent, group (proc(5)).
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(itsGroup) === group && state !== 'Z' && state !== 'X') return true;
  }
  return false;
}
