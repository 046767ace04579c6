import type { CommandRunner, CommandWithLimit } from '@tarfleet/contracts';
import { type CommandEnd, endOf, runLimited } from '../run-limited.ts';
import type { ServiceContext } from '../types.ts';
import { same } from './docker.ts';
import { type Driver, stateOf } from './driver.ts';

/**
 * Runs a command that may leave a daemon behind, which perhaps keeps the command's output open: then the output would
 * never end, and once it were closed a later word of the daemon's would kill it (SIGPIPE). So the output goes into a
 * pipe whose other end is read for as long as anybody holds it, by a process of its own that keeps the first 4 MiB
 * for us and throws away the rest. The daemon does not inherit the locale that our own commands run in. The command's
 * exit code is passed on; that there was no way to run it is 125.
 */
const DETACHED = `
mask=$(umask); umask 077
dir=$(mktemp -d) && mkfifo "$dir/pipe" || exit 125
trap 'rm -rf "$dir"' EXIT
trap 'exit 143' TERM
{ dd of="$dir/said" bs=1024 count=4096; cat; : >"$dir/end"; } <"$dir/pipe" >/dev/null 2>&1 &
(umask "$mask"; unset LC_ALL; exec "$@") </dev/null >"$dir/pipe" 2>&1
code=$?
for pause in 0.02 0.1 0.1 0.2; do [ -e "$dir/end" ] || sleep $pause; done
tail -c 8192 "$dir/said" 2>/dev/null
exit $code
`;

/** A service with commands of its own. */
export function createCommandDriver(
  { session, guard = same }: ServiceContext,
  runner: CommandRunner,
): Driver {
  const { stop, start, status } = runner;
  const order = (command: CommandWithLimit, signal: AbortSignal): Promise<CommandEnd> =>
    runLimited(guard(['sh', '-c', DETACHED, 'sh', ...command.argv]), {
      ...{ session, signal, seconds: command.seconds },
    });
  return {
    async state(signal) {
      const end = await runLimited(status.argv, { session, signal, seconds: status.seconds });
      const detail = `its status command ${endOf(end)}`;
      if (end.code === 0) return stateOf('running', detail);
      if (end.code === 1 || end.code === 3) return stateOf('stopped', detail);
      return stateOf('unknown', detail);
    },
    stop: (signal) => order(stop, signal),
    start: (signal) => order(start, signal),
    stopSeconds: stop.seconds,
    startSeconds: start.seconds,
    // A daemon that has forked may not be there yet for those who ask.
    startsBeforeReturning: false,
    lookAt: 'its own log',
  };
}
