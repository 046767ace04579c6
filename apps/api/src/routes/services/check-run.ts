import type { ServiceType } from '@tarfleet/contracts';
import type { Fault } from '../../plugins/faults.ts';
import { plainPathFault } from '../plain-path.ts';
import type { RunSettings } from './run-schemas.ts';

type Field = Exclude<keyof RunSettings, 'health_check'>;

/** Per type: what it must have, and what it may have besides. All else would be stored and never used. */
const FIELDS: Record<ServiceType, { needs: Field[]; takes: Field[] }> = {
  files: { needs: [], takes: [] },
  docker: { needs: ['container'], takes: ['stop', 'start'] },
  'docker-compose': { needs: ['compose'], takes: ['stop', 'start'] },
  systemd: { needs: ['unit'], takes: ['stop', 'start'] },
  command: { needs: ['stop', 'start', 'status'], takes: [] },
};
const ALL: Field[] = ['container', 'compose', 'unit', 'stop', 'start', 'status'];

/** What is wrong with how a service is to be run and checked. */
export function checkRun(type: ServiceType, run: RunSettings): Fault[] {
  const { needs, takes } = FIELDS[type];
  const of = (field: Field): string => `body/${field}`;
  const faults: Fault[] = [];
  for (const field of ALL) {
    if (needs.includes(field) && run[field] === null) {
      faults.push({ path: of(field), message: `is required for services of the type ${type}` });
    } else if (run[field] !== null && !needs.includes(field) && !takes.includes(field)) {
      faults.push({ path: of(field), message: `is not for services of the type ${type}: leave it out` });
    }
  }
  return [...faults, ...checkOrders(type, run), ...checkCompose(run), ...checkHealth(type, run)];
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
function checkCommand(path: string, [program = '']: string[]): Fault[] {
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

function checkHealth(type: ServiceType, { health_check: check }: RunSettings): Fault[] {
  const fault = (field: string, message: string): Fault[] => [
    { path: `body/health_check/${field}`, message },
  ];
  switch (check?.type) {
    case 'container':
      if (type === 'docker' || type === 'docker-compose') return [];
      return fault('type', 'container is for services of the types docker and docker-compose');
    case 'unit':
      if (type === 'systemd' || check.unit !== undefined) return [];
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
