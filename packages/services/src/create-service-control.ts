import type { ServiceRun } from '@tarfleet/contracts';
import { createCommandDriver } from './drivers/command.ts';
import { createComposeDriver } from './drivers/compose.ts';
import { createDockerDriver } from './drivers/docker.ts';
import type { Driver } from './drivers/driver.ts';
import { createNoneDriver } from './drivers/none.ts';
import { createSystemdDriver } from './drivers/systemd.ts';
import { checkHealth } from './health/check-health.ts';
import { createServiceHandle } from './service-handle.ts';
import type { ServiceContext, ServiceControl } from './types.ts';

export interface ServiceControlOptions {
  /** Between two looks at a state, in milliseconds; default 250. */
  pollMs?: number;
  /** How long a started service must run without a break, in milliseconds; default 1000. */
  settleMs?: number;
}

/** Stops, starts and checks services, each by what runs it. Holds nothing open. */
export function createServiceControl({
  pollMs = 250,
  settleMs = 1000,
}: ServiceControlOptions = {}): ServiceControl {
  return {
    of(context, service) {
      const driver = createDriver(context, service);
      return {
        ...createServiceHandle({ service, driver, pollMs, settleMs }),
        health: (signal) => checkHealth({ session: context.session, service, driver, signal }),
      };
    },
  };
}

function createDriver(context: ServiceContext, { runner }: ServiceRun): Driver {
  switch (runner.kind) {
    case 'none':
      return createNoneDriver();
    case 'docker':
      return createDockerDriver(context, runner);
    case 'docker-compose':
      return createComposeDriver(context, runner);
    case 'systemd':
      return createSystemdDriver(context, runner);
    case 'command':
      return createCommandDriver(context, runner);
  }
}
