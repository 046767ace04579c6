import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../until.ts';
import type { FaultWorld } from './fault-world.ts';
import { fillDisk } from './fill-disk.ts';
import type { Point, Step } from './steps.ts';

export interface Injected {
  /** Whether the held call is let go when the fault is there; otherwise only after the job's end. */
  letGo: boolean;
  /** Once the call has been let go. */
  during?(): Promise<void>;
  /** When the job has ended. */
  lift(): Promise<void>;
}

export interface FaultContext {
  here: FaultWorld;
  jobId: string;
  variant: string;
}

export interface Fault {
  /** Which there are at a point. */
  variants(step: Step, point: Point): readonly string[];
  inject(context: FaultContext): Promise<Injected>;
}

const nothing = async (): Promise<void> => undefined;
const QUEUE_GONE_MS = 15_000;

/** Each name is the table's. */
export const FAULTS = {
  'worker killed': {
    // Where a guarded call is left standing, the successor has to end it.
    variants: (_step, point) => (guarded(point) ? ['let go', 'left standing'] : ['let go']),
    async inject({ here, jobId, variant }) {
      await workerOf(here, jobId).child.kill('SIGKILL');
      return { letGo: variant === 'let go', during: () => here.fillUp(), lift: nothing };
    },
  },
  'worker frozen': {
    variants: (_step, point) =>
      guarded(point) ? ['until the end', 'until a successor began'] : ['until a successor began'],
    async inject({ here, jobId, variant }) {
      const { name, child } = workerOf(here, jobId);
      child.kill('SIGSTOP');
      return {
        letGo: false,
        async during() {
          await until('another worker takes over', async () =>
            here.watch.startedBy(jobId).some((other) => other !== name),
          );
          if (variant !== 'until the end') {
            await here.site.gates.release();
            here.ssh.release();
            child.kill('SIGCONT');
          }
        },
        async lift() {
          child.kill('SIGCONT');
          // It finds that it has been superseded, and says nothing more.
          await sleep(4_000);
        },
      };
    },
  },
  'SSH cut': {
    variants: (_step, point) => (point.at === 'ssh' ? ['both'] : ['both', 'client']),
    async inject({ here, variant }) {
      here.ssh.cut(variant as 'both' | 'client');
      return { letGo: true, lift: nothing };
    },
  },
  'out of space': {
    variants: () => ['tree', 'journal', 'both'],
    async inject({ here, variant }) {
      const free = await fillDisk(here.site.small, variant);
      return { letGo: true, lift: free };
    },
  },
  'does not stop': {
    variants: () => ['web-stop', 'cache-stop', 'web-hang', 'web-stop-new'],
    inject: misbehave,
  },
  'does not start': {
    variants: () => ['web-start-new', 'cache-start-new', 'web-start', 'cache-start'],
    inject: misbehave,
  },
  unhealthy: {
    variants: () => ['web-unhealthy-new', 'cache-unhealthy-new', 'web-unhealthy'],
    inject: misbehave,
  },
  'archive corrupt': {
    variants: () => ['begin', 'middle'],
    async inject({ here, variant }) {
      here.s3.decide = ({ method, url }) =>
        method === 'GET' && isArchive(url)
          ? { corruptAnswerAt: variant === 'begin' ? 100 : 150_000 }
          : 'pass';
      return { letGo: true, lift: () => mendStorage(here) };
    },
  },
  'storage unreachable': {
    variants: () => ['for good', 'for 3 s', 'cut in the middle'],
    async inject({ here, variant }) {
      here.s3.decide = ({ method, url }) => {
        if (variant === 'cut in the middle')
          return method === 'GET' && isArchive(url) ? { cutAnswerAfter: 100_000 } : 'pass';
        return 'cut';
      };
      return {
        letGo: true,
        async during() {
          if (variant !== 'for 3 s') return;
          await sleep(3_000);
          here.s3.decide = () => 'pass';
        },
        lift: () => mendStorage(here),
      };
    },
  },
  'queue gone': {
    variants: () => ['silent for 15 s', 'refusing for 15 s'],
    async inject({ here, variant }) {
      const gone = (on: boolean): void => {
        if (variant === 'refusing for 15 s') here.queueWay.refuse(on);
        else here.queue.process.kill(on ? 'SIGSTOP' : 'SIGCONT');
      };
      gone(true);
      return {
        letGo: true,
        async during() {
          await sleep(QUEUE_GONE_MS);
          gone(false);
        },
        async lift() {
          gone(false);
        },
      };
    },
  },
  cancelled: {
    variants: () => ['by the user'],
    async inject({ here, jobId }) {
      await here.world.client.must('POST', `/api/jobs/${jobId}/cancel`, {});
      // As long as a worker may take to hear of it, and a little more.
      await sleep(1_500);
      return { letGo: true, lift: nothing };
    },
  },
} satisfies Record<string, Fault>;
export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

export function isArchive(url: string): boolean {
  return /\.tar\.gz(\.\w+)?(\?|$)/.test(url);
}

async function misbehave({ here, variant }: FaultContext): Promise<Injected> {
  await here.site.gates.turn(variant);
  return { letGo: true, lift: () => here.site.gates.turnBack() };
}

async function mendStorage({ s3 }: FaultWorld): Promise<void> {
  s3.decide = () => 'pass';
}

/** Whether the call holds the restore's lock on the server. */
function guarded(point: Point): boolean {
  return point.at === 'call' && !/-(status|health)$/.test(point.program) && point.text !== '/fence';
}

function workerOf(here: FaultWorld, jobId: string) {
  const name = here.watch.startedBy(jobId).at(-1);
  const worker = here.workers().find((one) => one.name === name);
  if (!worker) throw new Error(`No living worker has the job: ${name}.`);
  return worker;
}
