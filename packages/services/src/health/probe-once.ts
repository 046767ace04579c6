import type { HealthCheck } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';
import type { Driver, Found } from '../drivers/driver.ts';
import { showUnit, toServiceState } from '../drivers/systemd.ts';
import { endOf, runLimited } from '../run-limited.ts';
import { probeHttp } from './probe-http.ts';

export interface ProbeOptions {
  session: Session;
  check: HealthCheck;
  driver: Driver;
  /** Ends the try. */
  signal: AbortSignal;
}

/** One try of a check. Errors: the session's, PORT_UNREACHABLE, or the signal's reason. */
export async function probeOnce({ session, check, driver, signal }: ProbeOptions): Promise<Found> {
  switch (check.type) {
    case 'container':
      return driver.containerHealth
        ? driver.containerHealth(signal)
        : { ok: false, detail: 'the service has no container', hopeless: true };
    case 'unit': {
      const shown = await showUnit({ session, signal }, check.unit);
      if ('why' in shown) return { ok: false, detail: shown.why };
      const { status, detail } = toServiceState(shown.unit, check.unit);
      return { ok: status === 'running', detail: `${check.unit} is ${detail}` };
    }
    case 'tcp': {
      const stream = await session.dial({ host: check.host, port: check.port }, signal);
      stream.destroy();
      return { ok: true, detail: `${check.host} port ${check.port} takes connections` };
    }
    case 'http':
      return probeHttp(session, check, signal);
    case 'command': {
      // The try itself has the limit.
      const end = await runLimited(check.argv, { session, signal, seconds: check.timeoutSeconds });
      return { ok: end.code === 0, detail: `its command ${endOf(end)}` };
    }
  }
}
