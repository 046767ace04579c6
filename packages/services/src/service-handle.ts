import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceRun } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Driver } from './drivers/driver.ts';
import { type CommandEnd, endOf } from './run-limited.ts';
import type { ServiceHandle, ServiceState } from './types.ts';

export interface HandleOptions {
  service: Pick<ServiceRun, 'name'>;
  driver: Driver;
  /** Between two looks at the state. */
  pollMs: number;
  /** How long a started service must run without a break to count as running. */
  settleMs: number;
}

type StopAndStart = Pick<ServiceHandle, 'state' | 'stop' | 'start'>;

/** Orders alone prove nothing: stopped and running is what the state says, over time. */
export function createServiceHandle({ service, driver, pollMs, settleMs }: HandleOptions): StopAndStart {
  const { name } = service;
  const fail = (
    code: 'SERVICE_STOP_FAILED' | 'SERVICE_START_FAILED',
    why: string,
    state: ServiceState,
  ): AppError =>
    new AppError(code, `${name} ${why}. Now: ${state.detail}. Look at: ${driver.lookAt}.`, {
      details: { service: name, status: state.status, detail: state.detail },
    });
  const pause = (signal: AbortSignal): Promise<void> => pauseFor(pollMs, signal);

  const stop = async (signal: AbortSignal): Promise<ServiceState> => {
    const before = await driver.state(signal);
    if (before.status === 'unknown') {
      throw new AppError(
        'SERVICE_STATE_UNKNOWN',
        `Whether ${name} runs cannot be told, so it was not stopped: ${before.detail}. Mend that first.`,
        { details: { service: name, status: before.status, detail: before.detail } },
      );
    }
    if (!before.up) return before;
    await driver.beforeStop?.(signal);
    const deadline = performance.now() + driver.stopSeconds * 1000;
    const end = await driver.stop(signal);
    for (;;) {
      const state = await driver.state(signal);
      if (!state.up && state.status !== 'unknown') return state;
      if (!succeeded(end))
        throw fail('SERVICE_STOP_FAILED', `was not stopped: its stop ${endOf(end)}`, state);
      if (performance.now() > deadline) {
        throw fail(
          'SERVICE_STOP_FAILED',
          `still runs ${driver.stopSeconds} s after it was told to stop`,
          state,
        );
      }
      await pause(signal);
    }
  };

  /** Watches a service that is to run: until it has run long enough, or will not. */
  const settle = async (deadline: number, returned: boolean, signal: AbortSignal): Promise<ServiceState> => {
    let since: number | null = null;
    let run: string | null = null;
    for (;;) {
      const state = await driver.state(signal);
      const now = performance.now();
      if (state.status === 'running' && (since === null || state.run === run)) {
        since ??= now;
        run = state.run;
        if (now - since >= settleMs) return state;
      } else if (since !== null && state.status !== 'unknown') {
        const again = state.status === 'running' ? ', and was started again' : '';
        throw fail('SERVICE_START_FAILED', `started and ended at once${again}`, state);
      } else if (state.status === 'failed' || (state.status === 'stopped' && returned)) {
        throw fail('SERVICE_START_FAILED', 'does not run after its start', state);
      } else if (now > deadline) {
        throw fail(
          'SERVICE_START_FAILED',
          `does not run ${driver.startSeconds} s after it was started`,
          state,
        );
      }
      await pause(signal);
    }
  };

  const start = async (signal: AbortSignal): Promise<ServiceState> => {
    const deadline = performance.now() + driver.startSeconds * 1000;
    const before = await driver.state(signal);
    if (before.status === 'running') return settle(deadline, true, signal);
    const end = await driver.start(signal);
    if (!succeeded(end)) {
      const hint = end.timedOut ? ' (it must return while the service runs on)' : '';
      throw fail(
        'SERVICE_START_FAILED',
        `was not started: its start ${endOf(end)}${hint}`,
        await driver.state(signal),
      );
    }
    return settle(deadline, driver.startsBeforeReturning, signal);
  };

  return { state: (signal) => driver.state(signal), stop, start };
}

/** Rejects with the signal's own reason, not with one that says only that it was aborted. */
export async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

function succeeded(end: CommandEnd): boolean {
  return end.code === 0;
}
