import { readdir, readFile, writeFile } from 'node:fs/promises';

/** Linux counts processor time in these, per second (USER_HZ, the same on every architecture that Node runs on). */
const TICKS = 100;

interface Stat {
  pid: number;
  parent: number;
  /** Of the process itself, and of its children that have ended and been waited for; seconds. */
  own: number;
  ended: number;
}

export interface CpuTime {
  own: number;
  /** All that it has started, living and ended. */
  below: number;
}

/** Processor time of processes so far, in seconds, by /proc/PID/stat (see proc(5)). */
export async function cpuTimes(pids: readonly number[]): Promise<CpuTime[]> {
  const stats = await readStats();
  const below = (pid: number): number =>
    stats
      .filter((stat) => stat.parent === pid)
      .reduce((sum, stat) => sum + stat.own + stat.ended + below(stat.pid), 0);
  return pids.map((pid) => {
    const stat = stats.find((one) => one.pid === pid);
    if (!stat) throw new Error(`The process ${pid} has ended.`);
    return { own: stat.own, below: stat.ended + below(pid) };
  });
}

async function readStats(): Promise<Stat[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
      // The name in brackets may hold anything; what follows it is numbers.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const [utime, stime, cutime, cstime] = [11, 12, 13, 14].map((at) => Number(fields[at]) / TICKS);
      if (utime === undefined || stime === undefined || cutime === undefined || cstime === undefined)
        return [];
      if (Number.isNaN(utime)) return [];
      return [{ pid: Number(name), parent: Number(fields[1]), own: utime + stime, ended: cutime + cstime }];
    }),
  );
  return stats.flat();
}

/** Most memory that a process has had resident so far, or since `resetPeak`, in bytes. */
export function peakResident(pid: number): Promise<number> {
  return memoryOf(pid, 'VmHWM');
}

/** From here on the peak is counted anew; gives what is resident now, in bytes. */
export async function resetPeak(pid: number): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  return memoryOf(pid, 'VmRSS');
}

async function memoryOf(pid: number, field: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status has no ${field}.`);
  return Number(kib) * 1024;
}
