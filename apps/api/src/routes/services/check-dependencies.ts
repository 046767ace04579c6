import type { Fault } from '../../plugins/faults.ts';

interface Node {
  name: string;
  dependsOn: string[];
}

/** What is wrong with a service's `depends_on`, given the server's other services: unknown names and circles. */
export function checkDependencies(service: Node, others: Node[]): Fault[] {
  const byName = new Map(others.map((other) => [other.name, other]));
  return service.dependsOn.flatMap((name, index): Fault[] => {
    const path = `body/depends_on/${index}`;
    if (name === service.name) return [{ path, message: 'is the service itself' }];
    if (!byName.has(name)) return [{ path, message: 'is not a service of this server' }];
    if (service.dependsOn.indexOf(name) !== index) return [{ path, message: 'is named twice' }];
    const circle = findWay(name, service.name, byName);
    return circle ? [{ path, message: `makes a circle: ${[service.name, ...circle].join(' -> ')}` }] : [];
  });
}

/** The names along dependencies from one service to another; null when there is no such way. */
function findWay(from: string, to: string, byName: Map<string, Node>): string[] | null {
  const open: string[][] = [[from]];
  const seen = new Set([from]);
  for (let way = open.shift(); way; way = open.shift()) {
    const last = way.at(-1) ?? from;
    if (last === to) return way;
    for (const next of byName.get(last)?.dependsOn ?? []) {
      if (!seen.has(next)) open.push([...way, next]);
      seen.add(next);
    }
  }
  return null;
}
