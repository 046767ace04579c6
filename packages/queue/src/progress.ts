import type { Progress } from '@tarfleet/contracts';
import { settledWithin } from './deadline.ts';

const EVERY_MS = 1_000;
/** A job that is done sooner sends one report, its last. */
const FIRST_MS = 300;

export interface ProgressSender {
  report(report: Omit<Progress, 'attempt' | 'n'>): void;
  /** Sends what is not sent yet. Bounded, never rejects. */
  flush(): Promise<void>;
}

/** Sends the newest report at most once a second. One that cannot be sent is lost, and the next one follows. */
export function createProgressSender(options: {
  attempt: number;
  callMs: number;
  send: (progress: Progress) => Promise<void>;
  onFault: (error: unknown) => void;
}): ProgressSender {
  let n = 0;
  let newest: Progress | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();
  let lastAt = performance.now() + FIRST_MS - EVERY_MS;
  let done = false;

  const send = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const progress = newest;
    newest = undefined;
    if (!progress) return;
    lastAt = performance.now();
    // In order: an older report must not arrive after a newer one.
    sending = sending.then(() => options.send(progress)).catch(options.onFault);
  };

  return {
    report(report) {
      if (done) return;
      n += 1;
      newest = { ...report, attempt: options.attempt, n };
      timer ??= setTimeout(send, Math.max(0, lastAt + EVERY_MS - performance.now()));
    },
    async flush() {
      done = true;
      send();
      await settledWithin(options.callMs, sending);
    },
  };
}
