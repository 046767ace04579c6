import { createParser } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { lastWords } from '../said.ts';
import type { ServiceState } from '../types.ts';
import { type Found, stateOf } from './driver.ts';

const Log = Type.Object({ ExitCode: Type.Optional(Type.Integer()), Output: Type.Optional(Type.String()) });

/** As much of a container's `.State` (Docker's API, ContainerState) as is used; podman's has the same names. */
const ContainerState = Type.Object({
  Status: Type.String(),
  ExitCode: Type.Optional(Type.Integer()),
  OOMKilled: Type.Optional(Type.Boolean()),
  Error: Type.Optional(Type.String()),
  StartedAt: Type.Optional(Type.String()),
  Health: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Object({
        Status: Type.String(),
        Log: Type.Optional(Type.Union([Type.Null(), Type.Array(Log)])),
      }),
    ]),
  ),
});
export type ContainerState = Static<typeof ContainerState>;

const parse = createParser(ContainerState);

/** One line of `docker inspect --format '{{json .State}}'`; null when it is none. */
export function parseContainerState(line: string): ContainerState | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Told apart by the caller: what is no JSON is no state either.
    return null;
  }
  const parsed = parse(value);
  return parsed.ok ? parsed.value : null;
}

/** 128 and TERM or KILL: what `docker stop` itself brings about. */
const STOPPED_BY_SIGNAL = [143, 137];

export function toServiceState(container: ContainerState): ServiceState {
  const { Status: status, ExitCode: code = 0, OOMKilled: oom = false, Error: fault = '' } = container;
  const run = container.StartedAt ?? null;
  switch (status) {
    case 'running':
      return stateOf('running', 'running', run);
    case 'restarting':
      return stateOf('changing', `restarting, it last exited with code ${code}`, run);
    case 'paused':
    case 'removing':
      return stateOf('changing', status, run);
    case 'created':
      return stateOf(fault === '' ? 'stopped' : 'failed', withFault('created, never started', fault), run);
    case 'exited': {
      const detail = `exited with code ${code}${oom ? ', for want of memory' : ''}`;
      const byWish = fault === '' && !oom && (code === 0 || STOPPED_BY_SIGNAL.includes(code));
      return stateOf(byWish ? 'stopped' : 'failed', withFault(detail, fault), run);
    }
    case 'dead':
      return stateOf('failed', withFault('dead', fault), run);
    default:
      return stateOf('unknown', `the container is ${lastWords(status)}`, run);
  }
}

function withFault(detail: string, fault: string): string {
  return fault === '' ? detail : `${detail}: ${lastWords(fault)}`;
}

/** Of a compose service with several containers: one that runs and one that does not are neither. */
export function combineStates(states: readonly ServiceState[]): ServiceState {
  const [first] = states;
  if (first === undefined) return stateOf('stopped', 'it has no container');
  if (states.length === 1) return first;
  const running = states.filter(({ status }) => status === 'running').length;
  const detail = `${running} of ${states.length} containers run`;
  const run = states.map((state) => state.run).join(' ');
  if (running === states.length) return stateOf('running', detail, run);
  const others = [...new Set(states.filter((one) => one.status !== 'running').map((one) => one.detail))];
  const all = `${detail}; ${others.join('; ')}`;
  if (states.some(({ status }) => status === 'unknown')) return stateOf('unknown', all, run);
  if (states.some(({ up }) => up)) return stateOf('changing', all, run);
  return stateOf(states.some(({ status }) => status === 'failed') ? 'failed' : 'stopped', all, run);
}

/** What its own health check says of a container; `hopeless` when it has none, and so will never say anything. */
export function healthOf(container: ContainerState): Found {
  const { Health: health } = container;
  if (!health || health.Status === 'none' || health.Status === '') {
    return { ok: false, detail: 'the container has no health check of its own', hopeless: true };
  }
  const last = health.Log?.at(-1);
  const said = last?.Output ? `: ${lastWords(last.Output)}` : '';
  return { ok: health.Status === 'healthy', detail: `the container is ${health.Status}${said}` };
}

/** All of them must be healthy. */
export function combineHealth(containers: readonly ContainerState[]): {
  ok: boolean;
  detail: string;
  hopeless?: boolean;
} {
  const found = containers.map(healthOf);
  const bad = found.find(({ hopeless }) => hopeless) ?? found.find(({ ok }) => !ok);
  return bad ?? found[0] ?? { ok: false, detail: 'it has no container' };
}
