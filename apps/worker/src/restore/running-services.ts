import type { RestorePlan, ServiceRun } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { ServiceHandle, ServiceState } from '@tarfleet/services';

/** What plans of restores and rollbacks say of the services around them. */
export type RunPlan = Pick<
  RestorePlan,
  'server' | 'services' | 'stopOrder' | 'startOrder' | 'healthChecks' | 'jobId'
>;

export interface Trouble {
  service: string;
  message: string;
}

/** The services of a restore, in their order. Everything may be repeated; what stands already is not stopped again. */
export interface RunningServices {
  /** Ids of those that run now. SERVICE_STATE_UNKNOWN where one does not tell, SERVICE_NOT_FOUND where it is none. */
  findUp(signal: AbortSignal): Promise<string[]>;
  /** As they tell it, `unknown` included. SERVICE_NOT_FOUND where one is none. */
  states(signal: AbortSignal): Promise<{ service: ServiceRun; state: ServiceState }[]>;
  /** Wave by wave; those of a wave side by side. The first fault is thrown when its wave has ended. */
  stop(ids: readonly string[], signal: AbortSignal): Promise<void>;
  /** As `stop`, but the waves behind a fault are started as well, and the faults come back. */
  start(ids: readonly string[], signal: AbortSignal): Promise<Trouble[]>;
  /** Of these and of those that are only checked, all side by side. Gives those that are not healthy. */
  check(ids: readonly string[], signal: AbortSignal): Promise<Trouble[]>;
  namesOf(ids: readonly string[]): string[];
}

export function createRunningServices(
  { services, stopOrder, startOrder }: RunPlan,
  handleOf: (service: ServiceRun) => ServiceHandle,
): RunningServices {
  const byId = new Map(services.map((service) => [service.id, { service, handle: handleOf(service) }]));
  const known = (ids: readonly string[]) => ids.flatMap((id) => byId.get(id) ?? []);
  const among = (wave: readonly string[], ids: readonly string[]) =>
    known(wave.filter((id) => ids.includes(id)));
  const faultsOf = async (
    wave: ReturnType<typeof known>,
    action: (handle: ServiceHandle) => Promise<unknown>,
  ): Promise<{ service: string; error: unknown }[]> => {
    // Each to its end: nothing of a wave may still be on its way when somebody acts on its outcome.
    const ends = await Promise.allSettled(wave.map(({ handle }) => action(handle)));
    return ends.flatMap((end, at) =>
      end.status === 'rejected' ? [{ service: wave[at]?.service.name ?? '', error: end.reason }] : [],
    );
  };
  const states: RunningServices['states'] = (signal) =>
    Promise.all(
      [...byId.values()].map(async ({ service, handle }) => ({ service, state: await handle.state(signal) })),
    );
  return {
    states,
    async findUp(signal) {
      const found = await states(signal);
      const dumb = found.flatMap(({ service, state }) =>
        state.status === 'unknown' ? [`${service.name} (${state.detail})`] : [],
      );
      if (dumb.length > 0) {
        throw new AppError(
          'SERVICE_STATE_UNKNOWN',
          `Whether these services run cannot be found out: ${dumb.join(', ')}. Check how they are configured.`,
        );
      }
      return found.flatMap(({ service, state }) => (state.up ? [service.id] : []));
    },
    async stop(ids, signal) {
      for (const wave of stopOrder) {
        const [first] = await faultsOf(among(wave, ids), (handle) => handle.stop(signal));
        if (first) throw first.error;
      }
    },
    async start(ids, signal) {
      const troubles: Trouble[] = [];
      for (const wave of startOrder) {
        for (const { service, error } of await faultsOf(among(wave, ids), (handle) => handle.start(signal))) {
          signal.throwIfAborted();
          // A broken connection says nothing of the service.
          if (!(error instanceof AppError) || error.retryable) throw error;
          troubles.push({ service, message: error.message });
        }
      }
      return troubles;
    },
    async check(ids, signal) {
      const checked = [...byId.values()].filter(
        ({ service }) => ids.includes(service.id) || service.runner.kind === 'none',
      );
      const found = await Promise.allSettled(checked.map(({ handle }) => handle.health(signal)));
      return found.flatMap((health, at) => {
        if (health.status === 'rejected') throw health.reason;
        const service = checked[at]?.service.name ?? '';
        return health.value.healthy ? [] : [{ service, message: health.value.reason }];
      });
    },
    namesOf: (ids) => known(ids).map(({ service }) => service.name),
  };
}
