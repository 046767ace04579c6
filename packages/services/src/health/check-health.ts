import type { HealthCheck, ServiceRun } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { Driver } from '../drivers/driver.ts';
import { pauseFor } from '../service-handle.ts';
import type { Health } from '../types.ts';
import { probeOnce } from './probe-once.ts';

export interface HealthOptions {
  session: Session;
  service: ServiceRun;
  driver: Driver;
  signal: AbortSignal;
}

/** Tries until the check passes or has failed too often. Errors: the session's, TOOL_MISSING, SERVICE_NOT_FOUND. */
export async function checkHealth({ session, service, driver, signal }: HealthOptions): Promise<Health> {
  const { healthCheck: check, runner } = service;
  if (check === null) return onlyRunning(driver, runner.kind === 'none', signal);
  const startPeriodEnds = performance.now() + check.startPeriodSeconds * 1000;
  let failures = 0;
  for (let tries = 1; ; tries += 1) {
    const found = await tryOnce({ session, check, driver, signal });
    if (found.ok) return { healthy: true, tries, detail: found.detail };
    if (performance.now() >= startPeriodEnds) failures += 1;
    if (found.hopeless || failures >= check.retries) return { healthy: false, tries, reason: found.detail };
    if (runner.kind !== 'none') {
      const state = await driver.state(signal);
      if (state.status === 'stopped' || state.status === 'failed') {
        return { healthy: false, tries, reason: `it no longer runs: ${state.detail}` };
      }
    }
    await pauseFor(check.intervalSeconds * 1000, signal);
  }
}

async function onlyRunning(driver: Driver, files: boolean, signal: AbortSignal): Promise<Health> {
  const { status, detail } = await driver.state(signal);
  if (files || status === 'running') return { healthy: true, tries: 1, detail };
  return { healthy: false, tries: 1, reason: `it does not run: ${detail}` };
}

async function tryOnce(options: {
  session: Session;
  check: HealthCheck;
  driver: Driver;
  signal: AbortSignal;
}): ReturnType<typeof probeOnce> {
  const { check, signal } = options;
  const tooLong = new Error('the try took too long');
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(tooLong), check.timeoutSeconds * 1000);
  try {
    return await probeOnce({ ...options, signal: AbortSignal.any([signal, limit.signal]) });
  } catch (error) {
    signal.throwIfAborted();
    if (error === tooLong) return { ok: false, detail: `no answer within ${check.timeoutSeconds} s` };
    // What a server says of its own port is the answer; everything else is no answer.
    if (error instanceof AppError && error.code === 'PORT_UNREACHABLE') {
      return { ok: false, detail: error.message };
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
