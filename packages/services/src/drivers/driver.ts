import type { CommandEnd } from '../run-limited.ts';
import type { ServiceState, ServiceStatus } from '../types.ts';

/** One try of a health check. `hopeless`: it would fail in the same way each time. */
export interface Found {
  ok: boolean;
  detail: string;
  hopeless?: boolean;
}

/** How one kind of service is asked and told. What its answers mean in time is the handle's matter. */
export interface Driver {
  state(signal: AbortSignal): Promise<ServiceState>;
  /** Throws where stopping it now would be a mistake; nothing has been done then. */
  beforeStop?(signal: AbortSignal): Promise<void>;
  /** Gives the order; it may have had its effect or not when this returns. */
  stop(signal: AbortSignal): Promise<CommandEnd>;
  start(signal: AbortSignal): Promise<CommandEnd>;
  /** What the container's own health check says; only where there are containers. */
  containerHealth?(signal: AbortSignal): Promise<Found>;
  /** From the order until it stands. */
  stopSeconds: number;
  startSeconds: number;
  /** Whether a service that is stopped after its start command returned has run and ended. */
  startsBeforeReturning: boolean;
  /** Where people find out more: a command, or words. */
  lookAt: string;
}

/** For questions, which no manager takes long to answer unless it hangs. */
export const ASK_SECONDS = 20;

export function stateOf(status: ServiceStatus, detail: string, run: string | null = null): ServiceState {
  return { status, up: status === 'running' || status === 'changing', detail, run };
}
