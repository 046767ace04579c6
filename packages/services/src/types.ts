/** What the rest of Tarfleet knows of running services: their state, and how to stop, start and check them. */
import type { ServiceRun } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';

/**
 * `changing`: it starts, stops or restarts at this moment, or only some of its containers run. `failed`: it does not
 * run, and not by wish. `unknown`: nothing could be found out.
 */
export type ServiceStatus = 'running' | 'changing' | 'stopped' | 'failed' | 'unknown';

export interface ServiceState {
  status: ServiceStatus;
  /** Whether anything of it runs or is about to (`running`, `changing`): to be stopped now, and started again later. */
  up: boolean;
  /** In the words of what runs it, one line, for people. */
  detail: string;
  /** Differs once the service has been started anew; null where nothing tells one run from the next. */
  run: string | null;
}

export type Health =
  | { healthy: true; tries: number; detail: string }
  /** `reason` is what the last try found. */
  | { healthy: false; tries: number; reason: string };

/**
 * One service on one server. Everything may be called again, by whoever takes over: what is stopped already is not
 * stopped, what runs already is not started. All of it can be aborted by the signal, which rejects with its reason; a
 * command that was under way is ended on the server, and what became of the service is what `state` says next.
 *
 * Errors of all: those of the session (CONNECTION_LOST is retryable, and says nothing of the service), TOOL_MISSING,
 * and SERVICE_NOT_FOUND (no such container, unit or compose service: the configuration is wrong).
 */
export interface ServiceHandle {
  /** `unknown`, with what was said, where the state cannot be found out. */
  state(signal: AbortSignal): Promise<ServiceState>;
  /**
   * Returns once nothing of it runs any more, with its last state. Does nothing when nothing ran. Errors:
   * SERVICE_STATE_UNKNOWN (nothing was done), SERVICE_STOP_FAILED (it still runs after its time limit, or its command
   * failed, or stopping it now could not be undone or would not last; `details` holds the last state).
   */
  stop(signal: AbortSignal): Promise<ServiceState>;
  /**
   * Returns once it has run for a moment without a break. Errors: SERVICE_START_FAILED (its command failed, it does
   * not run within its time limit, or it ended again at once; `details` holds the last state).
   */
  start(signal: AbortSignal): Promise<ServiceState>;
  /** Tries until it is healthy or its check has failed too often; at once unhealthy when it no longer runs. */
  health(signal: AbortSignal): Promise<Health>;
}

export interface ServiceContext {
  /** Stays the caller's to close. */
  session: Session;
  /**
   * Wraps each command that changes something, so that it only runs under the caller's guard. It must run the words
   * it is given last, pass on exit code and output, and leave none of its own descriptors (a lock's) open to them:
   * a service that is started would hold them for as long as it runs. Default: the command as it is.
   */
  guard?: (argv: readonly string[]) => readonly string[];
}

export interface ServiceControl {
  /** Looks at nothing yet. */
  of(context: ServiceContext, service: ServiceRun): ServiceHandle;
}
