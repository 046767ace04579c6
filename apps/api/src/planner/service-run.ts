import type { HealthCheck, ServiceRun, ServiceRunner, ServiceType } from '@tarfleet/contracts';
import type { ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { runnerOf } from '../routes/services/check-run.ts';
import type { HealthCheckBody, RunSettings } from '../routes/services/run-schemas.ts';
import { readRun } from '../routes/services/run-settings.ts';

const STOP_SECONDS = 60;
const START_SECONDS = 60;
const STATUS_SECONDS = 10;

/** How a worker stops, starts and checks the service: everything said, defaults included. */
export function toServiceRun({ id, name, type, settings }: ServiceRecord): ServiceRun {
  const run = readRun(settings);
  return {
    id,
    name,
    runner: toRunner(name, runnerOf(type as ServiceType, run), run),
    healthCheck: run.health_check && toHealthCheck(run.health_check, run.unit),
  };
}

function toRunner(name: string, type: string, run: RunSettings): ServiceRunner {
  const stopSeconds = run.stop?.timeout_seconds ?? STOP_SECONDS;
  const startSeconds = run.start?.timeout_seconds ?? START_SECONDS;
  const limits = { stopSeconds, startSeconds };
  if (type === 'files') return { kind: 'none' };
  if (type === 'docker' && run.container) return { kind: type, container: run.container, ...limits };
  if (type === 'systemd' && run.unit) return { kind: type, unit: run.unit, ...limits };
  if (type === 'docker-compose' && run.compose) {
    const { directory, files = [], project = null, service } = run.compose;
    return { kind: type, directory, files, project, service, ...limits };
  }
  if (type === 'command' && run.stop?.command && run.start?.command && run.status) {
    return {
      kind: type,
      stop: { argv: run.stop.command, seconds: stopSeconds },
      start: { argv: run.start.command, seconds: startSeconds },
      status: { argv: run.status.command, seconds: run.status.timeout_seconds ?? STATUS_SECONDS },
    };
  }
  throw new AppError('NOT_SUPPORTED', `How the service ${name} of type ${type} is run is not known.`);
}

function toHealthCheck(check: HealthCheckBody, ownUnit: string | null): HealthCheck {
  const pace = {
    timeoutSeconds: check.timeout_seconds ?? 5,
    intervalSeconds: check.interval_seconds ?? 2,
    retries: check.retries ?? 15,
    startPeriodSeconds: check.start_period_seconds ?? 0,
  };
  switch (check.type) {
    case 'container':
      return { type: check.type, ...pace };
    case 'unit':
      return { type: check.type, unit: check.unit ?? ownUnit ?? '', ...pace };
    case 'tcp':
      return { type: check.type, host: check.host ?? '127.0.0.1', port: check.port, ...pace };
    case 'http': {
      const { url, status: statuses = [], body_contains = null, verify_tls: verifyTls = true } = check;
      return { type: check.type, url, statuses, bodyContains: body_contains, verifyTls, ...pace };
    }
    case 'command':
      return { type: check.type, argv: check.command, ...pace };
  }
}
