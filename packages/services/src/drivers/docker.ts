import type { DockerRunner } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type CommandEnd, endOf, runLimited } from '../run-limited.ts';
import type { ServiceContext } from '../types.ts';
import {
  type ContainerState,
  combineHealth,
  parseContainerState,
  toServiceState,
} from './container-state.ts';
import { ASK_SECONDS, type Driver, stateOf } from './driver.ts';

/** For Docker itself, beyond what it gives the container to end in. */
const DOCKER_SECONDS = 30;

/** The label is `True` for a container of `docker compose run`, `False` for others of a project, else empty. */
const FORMAT = '{{index .Config.Labels "com.docker.compose.oneoff"}} {{json .State}}';

/** What asking for containers comes to: their states, or why they cannot be had. */
export type Inspection = { states: ContainerState[] } | { why: string };

/** One container, by its name or id, through the `docker` command. */
export function createDockerDriver({ session, guard = same }: ServiceContext, runner: DockerRunner): Driver {
  const { container, stopSeconds, startSeconds } = runner;
  const grace = String(Math.max(1, Math.round(stopSeconds)));
  return {
    async state(signal) {
      const found = await inspect({ session, signal }, [container]);
      if ('why' in found) return stateOf('unknown', found.why);
      const [state] = found.states;
      return state ? toServiceState(state) : stateOf('unknown', 'docker inspect says nothing of it');
    },
    stop: (signal) =>
      runLimited(guard(['docker', 'stop', '-t', grace, container]), {
        ...{ session, signal, seconds: stopSeconds + DOCKER_SECONDS },
      }),
    start: (signal) =>
      runLimited(guard(['docker', 'start', container]), { session, signal, seconds: startSeconds }),
    async containerHealth(signal) {
      const found = await inspect({ session, signal }, [container]);
      return 'why' in found ? { ok: false, detail: found.why } : combineHealth(found.states);
    },
    stopSeconds: stopSeconds + DOCKER_SECONDS,
    startSeconds,
    startsBeforeReturning: true,
    lookAt: `docker logs --tail 50 ${container}`,
  };
}

/**
 * The states of containers, in their order, without those that `docker compose run` left. Errors: SERVICE_NOT_FOUND,
 * TOOL_MISSING, and the session's.
 */
export async function inspect(
  { session, signal }: { session: ServiceContext['session']; signal: AbortSignal },
  containers: readonly string[],
): Promise<Inspection> {
  const argv = ['docker', 'inspect', '--type', 'container', '--format', FORMAT, ...containers];
  const end = await runLimited(argv, { session, signal, seconds: ASK_SECONDS });
  assertThere('docker', end);
  if (/no such (container|object)/i.test(end.words)) {
    throw new AppError(
      'SERVICE_NOT_FOUND',
      `There is no container ${containers.join(', ')} on the server. Correct the service, or create the container.`,
    );
  }
  if (end.code !== 0) return { why: `docker inspect ${endOf(end)}` };
  const lines = end.stdout.split('\n').filter((line) => line.includes('{') && !line.startsWith('True '));
  const states = lines.map((line) => parseContainerState(line.slice(line.indexOf('{'))));
  if (states.includes(null)) return { why: 'docker inspect gave no state that could be read' };
  return { states: states.filter((state) => state !== null) };
}

/** Throws TOOL_MISSING when the program itself is not there. */
export function assertThere(program: string, { code }: Pick<CommandEnd, 'code'>): void {
  if (code !== 127) return;
  throw new AppError(
    'TOOL_MISSING',
    `There is no ${program} on the server, or its user cannot find it: install it, or correct the type of the service.`,
  );
}

export function same(argv: readonly string[]): readonly string[] {
  return argv;
}
