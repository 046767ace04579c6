import { isDatabaseType, type ServiceType } from '@tarfleet/contracts';
import type { Fault } from '../../plugins/faults.ts';
import { plainPathFault } from '../plain-path.ts';
import type { RunSettings } from './run-schemas.ts';

type Field = Exclude<keyof RunSettings, 'health_check'>;

/** What runs a database is one of these, or nothing that it would have to be stopped for. */
const OF_DATABASES = {
  needs: [],
  takes: ['container', 'compose', 'unit', 'stop', 'start', 'status'],
} satisfies { needs: Field[]; takes: Field[] };

/** Per type: what it must have, and what it may have besides. All else would be stored and never used. */
const FIELDS: Record<ServiceType, { needs: Field[]; takes: Field[] }> = {
  files: { needs: [], takes: [] },
  docker: { needs: ['container'], takes: ['stop', 'start'] },
  'docker-compose': { needs: ['compose'], takes: ['stop', 'start'] },
  systemd: { needs: ['unit'], takes: ['stop', 'start'] },
  command: { needs: ['stop', 'start', 'status'], takes: [] },
  ...{ postgres: OF_DATABASES, mysql: OF_DATABASES, sqlite: OF_DATABASES, redis: OF_DATABASES },
  rows: OF_DATABASES,
};
const ALL: Field[] = ['container', 'compose', 'unit', 'stop', 'start', 'status'];

/** What is wrong with how a service is to be run and checked. */
export function checkRun(type: ServiceType, run: RunSettings): Fault[] {
  const { needs, takes } = FIELDS[type];
  const of = (field: Field): string => `body/${field}`;
  const faults: Fault[] = [];
  if (isDatabaseType(type)) faults.push(...checkDatabaseRun(run));
  for (const field of ALL) {
    if (needs.includes(field) && run[field] === null) {
      faults.push({ path: of(field), message: `is required for services of the type ${type}` });
    } else if (run[field] !== null && !needs.includes(field) && !takes.includes(field)) {
      faults.push({ path: of(field), message: `is not for services of the type ${type}: leave it out` });
    }
  }
  return [
    ...faults,
    ...checkOrders(runnerOf(type, run), run),
    ...checkCompose(run),
    ...checkHealth(type, run),
  ];
}

function checkOrders(type: ServiceType, run: RunSettings): Fault[] {
  const faults: Fault[] = [];
  for (const field of ['stop', 'start', 'status'] as const) {
    const command = run[field]?.command;
    const path = `body/${field}/command`;
    if (command !== undefined && type !== 'command') {
      faults.push({ path, message: 'is for services of the type command alone' });
    } else if (command !== undefined) {
      faults.push(...checkCommand(path, command));
    } else if (type === 'command' && run[field] !== null) {
      faults.push({ path, message: 'is required for services of the type command' });
    }
  }
  return faults;
}

/** A program is found by its name or its whole path: commands run in the root folder, where relative ones lead astray. */
export function checkCommand(path: string, [program = '']: string[]): Fault[] {
  const fault = (message: string): Fault[] => [{ path: `${path}/0`, message }];
  if (program.trim() === '') return fault('must name a program');
  if (program.startsWith('-')) return fault('must be a program: it begins with a dash');
  if (program.includes('/') && !program.startsWith('/')) {
    return fault('must be the name of a program, or its absolute path');
  }
  return [];
}

function checkCompose({ compose }: RunSettings): Fault[] {
  if (compose === null) return [];
  const named = [
    { path: 'body/compose/directory', value: compose.directory },
    ...(compose.files ?? []).map((value, i) => ({ path: `body/compose/files/${i}`, value })),
  ];
  return named.flatMap(({ path, value }) => {
    const message = plainPathFault(value);
    return message === undefined ? [] : [{ path, message }];
  });
}

function checkHealth(type: ServiceType, run: RunSettings): Fault[] {
  const check = run.health_check;
  const fault = (field: string, message: string): Fault[] => [
    { path: `body/health_check/${field}`, message },
  ];
  switch (check?.type) {
    case 'container':
      if (run.container !== null || run.compose !== null) return [];
      if (type === 'docker' || type === 'docker-compose') return [];
      return fault('type', 'container is for services of the types docker and docker-compose');
    case 'unit':
      if (type === 'systemd' || run.unit !== null || check.unit !== undefined) return [];
      return fault('unit', 'is required unless the service is of the type systemd');
    case 'http': {
      const message = urlFault(check.url);
      return message === undefined ? [] : fault('url', message);
    }
    case 'command':
      return checkCommand('body/health_check/command', check.command);
    default:
      return [];
  }
}

function urlFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a whole URL, such as http://127.0.0.1:8080/health';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must begin with http:// or https://';
  // It is shown to whoever may see the service.
  return url.username || url.password ? 'must hold no user name or password' : undefined;
}

/** A service of a database has the runner of whichever fields it has. */
export function runnerOf(type: ServiceType, run: RunSettings): ServiceType {
  if (!isDatabaseType(type)) return type;
  if (run.container !== null) return 'docker';
  if (run.compose !== null) return 'docker-compose';
  if (run.unit !== null) return 'systemd';
  return run.stop?.command || run.start?.command || run.status !== null ? 'command' : 'files';
}

function checkDatabaseRun(run: RunSettings): Fault[] {
  const ways = (['container', 'compose', 'unit', 'status'] as const).filter((field) => run[field] !== null);
  if (ways.length > 1) {
    return ways
      .slice(1)
      .map((field) => ({ path: `body/${field}`, message: `does not go together with ${ways[0]}` }));
  }
  if (runnerOf('postgres', run) === 'command' && (!run.stop || !run.start || !run.status)) {
    return [{ path: 'body/status', message: 'commands to stop, to start and for the status go together' }];
  }
  return [];
}
