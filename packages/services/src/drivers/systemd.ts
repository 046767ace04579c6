import type { SystemdRunner } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { endOf, runLimited } from '../run-limited.ts';
import { lastWords } from '../said.ts';
import type { ServiceContext, ServiceState } from '../types.ts';
import { assertThere, same } from './docker.ts';
import { ASK_SECONDS, type Driver, stateOf } from './driver.ts';

const PROPERTIES = ['LoadState', 'ActiveState', 'SubState', 'Result', 'InvocationID', 'TriggeredBy'];

/** A unit of the system's systemd. Stopping and starting it needs root, or a polkit rule. */
export function createSystemdDriver(
  { session, guard = same }: ServiceContext,
  runner: SystemdRunner,
): Driver {
  const { unit, stopSeconds, startSeconds } = runner;
  const order = (verb: 'stop' | 'start', signal: AbortSignal, seconds: number) =>
    runLimited(guard(['systemctl', '--no-ask-password', verb, '--', unit]), { session, signal, seconds });
  return {
    async state(signal) {
      const shown = await showUnit({ session, signal }, unit);
      return 'why' in shown ? stateOf('unknown', shown.why) : toServiceState(shown.unit, unit);
    },
    async beforeStop(signal) {
      const shown = await showUnit({ session, signal }, unit);
      if ('why' in shown) return;
      const load = shown.unit.get('LoadState') ?? '';
      if (load !== 'loaded') {
        throw refused(unit, `is ${load}, so it could not be started again. Mend the unit first.`);
      }
      const triggers = (shown.unit.get('TriggeredBy') ?? '').split(' ').filter(Boolean);
      const active = await activeOf({ session, signal }, triggers);
      if (active.length > 0) {
        throw refused(
          unit,
          `would be started again by ${active.join(', ')}. Make the service one of type command that stops and starts both.`,
        );
      }
    },
    stop: (signal) => order('stop', signal, stopSeconds),
    start: (signal) => order('start', signal, startSeconds),
    stopSeconds,
    startSeconds,
    startsBeforeReturning: true,
    lookAt: `journalctl -n 50 -u ${unit}`,
  };
}

export type UnitProperties = ReadonlyMap<string, string>;

/**
 * What `systemctl show` tells of a unit, or why it tells nothing. It answers for units that do not exist as well.
 * Errors: TOOL_MISSING, and the session's.
 */
export async function showUnit(
  { session, signal }: { session: ServiceContext['session']; signal: AbortSignal },
  unit: string,
): Promise<{ unit: UnitProperties } | { why: string }> {
  const argv = ['systemctl', '--no-pager', 'show', `--property=${PROPERTIES.join(',')}`, '--', unit];
  const end = await runLimited(argv, { session, signal, seconds: ASK_SECONDS });
  assertThere('systemctl', end);
  if (end.code !== 0) return { why: `systemctl show ${endOf(end)}` };
  const properties = new Map<string, string>();
  for (const line of end.stdout.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) properties.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  return properties.has('ActiveState') ? { unit: properties } : { why: 'systemctl show gave no ActiveState' };
}

/** Errors: SERVICE_NOT_FOUND. */
export function toServiceState(properties: UnitProperties, unit: string): ServiceState {
  const of = (name: string): string => properties.get(name) ?? '';
  const [load, active, result] = [of('LoadState'), of('ActiveState'), of('Result')];
  if (load === 'not-found' && active === 'inactive') {
    throw new AppError('SERVICE_NOT_FOUND', `There is no unit ${unit} on the server. Correct the service.`);
  }
  const notes = [
    ...(load === 'loaded' ? [] : [`the unit is ${load}`]),
    ...(result === '' || result === 'success' ? [] : [`result: ${result}`]),
  ];
  const detail = lastWords([`${active} (${of('SubState')})`, ...notes].join(', '));
  const run = of('InvocationID') || null;
  switch (active) {
    case 'active':
    case 'reloading':
    case 'refreshing':
      return stateOf('running', detail, run);
    case 'activating':
    case 'deactivating':
    case 'maintenance':
      return stateOf('changing', detail, run);
    case 'inactive':
      return stateOf('stopped', detail, run);
    case 'failed':
      return stateOf('failed', detail, run);
    default:
      return stateOf('unknown', detail, run);
  }
}

/** Which of these units are active. */
async function activeOf(
  { session, signal }: { session: ServiceContext['session']; signal: AbortSignal },
  units: readonly string[],
): Promise<string[]> {
  if (units.length === 0) return [];
  const argv = ['systemctl', 'is-active', '--', ...units];
  const { stdout } = await runLimited(argv, { session, signal, seconds: ASK_SECONDS });
  const states = stdout.split('\n');
  return units.filter((_, index) => /^(active|activating|reloading)$/.test(states[index]?.trim() ?? ''));
}

function refused(unit: string, why: string): AppError {
  return new AppError('SERVICE_STOP_FAILED', `${unit} was not stopped: it ${why}`);
}
