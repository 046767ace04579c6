import { isDatabaseType, type ServiceType } from '@tarfleet/contracts';
import type { Fault } from '../../plugins/faults.ts';
import { isInside, plainPathFault } from '../plain-path.ts';

/**
 * What is wrong with a service's paths: each must be absolute, in its plain form, and lie outside every other one
 * of the service, or a file would be captured twice and restored in two ways.
 */
export function checkPaths(service: {
  type: ServiceType;
  configPaths: string[];
  dataPaths: string[];
}): Fault[] {
  const named = [
    ...service.configPaths.map((value, i) => ({ value, path: `body/config_paths/${i}` })),
    ...service.dataPaths.map((value, i) => ({ value, path: `body/data_paths/${i}` })),
  ];
  if (isDatabaseType(service.type)) {
    return named.map(({ path }) => ({
      path,
      message: `is not for services of the type ${service.type}: its files are backed up by a service of their own`,
    }));
  }
  if (named.length === 0) {
    return [{ path: 'body/data_paths', message: 'must name at least one path, or config_paths must' }];
  }
  return named.flatMap(({ value, path }, index) => {
    const message =
      plainPathFault(value) ??
      overlapFault(
        value,
        named.slice(0, index).map((other) => other.value),
      );
    return message === undefined ? [] : [{ path, message }];
  });
}

function overlapFault(path: string, others: string[]): string | undefined {
  if (others.includes(path)) return 'is named twice';
  const around = others.find((other) => isInside(path, other));
  if (around !== undefined) return `lies inside ${around}, which is named already`;
  const inside = others.find((other) => isInside(other, path));
  return inside && `contains ${inside}, which is named already`;
}
