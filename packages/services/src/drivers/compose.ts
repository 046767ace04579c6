import type { ComposeRunner } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type CommandEnd, endOf, runLimited } from '../run-limited.ts';
import type { ServiceContext } from '../types.ts';
import { combineHealth, combineStates, toServiceState } from './container-state.ts';
import { type Inspection, inspect, same } from './docker.ts';
import { ASK_SECONDS, type Driver, stateOf } from './driver.ts';

const DOCKER_SECONDS = 30;
/** Compose finds its file and `.env` in the folder that it is run in, in every version. */
const IN_FOLDER = 'cd -- "$1" || exit 1; shift; exec "$@"';

interface Compose {
  words: string[];
  /** Whether it leaves stopped containers out of `ps` unless asked (version 2 does). */
  hidesStopped: boolean;
}

/** One service of a compose project: `docker compose`, or `docker-compose` where the server has that. */
export function createComposeDriver(
  { session, guard = same }: ServiceContext,
  runner: ComposeRunner,
): Driver {
  const { directory, files, project, service, stopSeconds, startSeconds } = runner;
  const options = [...files.flatMap((file) => ['-f', file]), ...(project === null ? [] : ['-p', project])];
  let found: Compose | null = null;

  const inFolder = (words: readonly string[]): string[] => ['sh', '-c', IN_FOLDER, 'sh', directory, ...words];
  const find = async (signal: AbortSignal): Promise<Compose> => {
    found ??= await findCompose({ session }, signal);
    return found;
  };
  const order = async (words: string[], seconds: number, signal: AbortSignal): Promise<CommandEnd> => {
    const compose = await find(signal);
    const argv = inFolder([...compose.words, ...options, ...words, service]);
    return runLimited(guard(argv), { session, signal, seconds });
  };
  const containers = async (signal: AbortSignal): Promise<Inspection> => {
    const compose = await find(signal);
    const all = compose.hidesStopped ? ['--all'] : [];
    const argv = inFolder([...compose.words, ...options, 'ps', '--quiet', ...all, service]);
    const end = await runLimited(argv, { session, signal, seconds: ASK_SECONDS });
    if (/no such service/i.test(end.words)) {
      throw new AppError(
        'SERVICE_NOT_FOUND',
        `The compose project in ${directory} has no service ${service}. Correct the service.`,
      );
    }
    if (end.code !== 0) return { why: `${compose.words.join(' ')} ps ${endOf(end)}` };
    const ids = end.stdout.split('\n').filter((line) => /^[0-9a-f]{12,64}$/.test(line.trim()));
    return ids.length === 0 ? { states: [] } : inspect({ session, signal }, ids);
  };
  return {
    async state(signal) {
      const found = await containers(signal);
      return 'why' in found ? stateOf('unknown', found.why) : combineStates(found.states.map(toServiceState));
    },
    async containerHealth(signal) {
      const found = await containers(signal);
      return 'why' in found ? { ok: false, detail: found.why } : combineHealth(found.states);
    },
    stop: (signal) =>
      order(
        ['stop', '-t', String(Math.max(1, Math.round(stopSeconds)))],
        stopSeconds + DOCKER_SECONDS,
        signal,
      ),
    start: (signal) => order(['start'], startSeconds, signal),
    stopSeconds: stopSeconds + DOCKER_SECONDS,
    startSeconds,
    startsBeforeReturning: true,
    lookAt: `docker compose logs --tail 50 ${service}, in ${directory}`,
  };
}

/** Errors: TOOL_MISSING, and the session's. */
async function findCompose(
  { session }: Pick<ServiceContext, 'session'>,
  signal: AbortSignal,
): Promise<Compose> {
  for (const words of [['docker', 'compose'], ['docker-compose']]) {
    const end = await runLimited([...words, 'version', '--short'], { session, signal, seconds: ASK_SECONDS });
    if (end.timedOut) {
      throw new AppError('COMMAND_FAILED', `${words.join(' ')} version ${endOf(end)}.`, { retryable: true });
    }
    // The first version was a Python program, whose `ps` lists what is stopped as well.
    if (end.code === 0) return { words, hidesStopped: !/^v?1\./.test(end.stdout.trim()) };
  }
  throw new AppError(
    'TOOL_MISSING',
    'There is neither docker compose nor docker-compose on the server, or its user cannot find them: install one, or correct the type of the service.',
  );
}
