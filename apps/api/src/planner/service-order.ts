import { AppError } from '@tarfleet/kernel';

/** As much of a service as its place in the order depends on. Names are unique within a server. */
export interface Ordered {
  name: string;
  dependsOn: readonly string[];
  /** Higher comes first where dependencies leave it open. */
  backupPriority: number;
}

export interface ServiceOrder<S> {
  /** Waves, one after the other: those of a wave may be started side by side, in this order where not all at once. */
  start: S[][];
  /** The same backwards: nothing is stopped while something that depends on it still runs. */
  stop: S[][];
}

/**
 * In which order these services of a server start and stop. `all` are the server's services, since one may depend on
 * another through a third that is not concerned. A dependency on a name that is none of them counts for nothing. Each
 * service starts as early as it can, and so stops as late as it can. CONFLICT names a circle, which can only be there
 * when the records were changed by other hands.
 */
export function orderServices<S extends Ordered>(
  all: readonly Ordered[],
  chosen: readonly S[],
): ServiceOrder<S> {
  const byName = new Map(all.map((service) => [service.name, service]));
  const names = new Set(chosen.map(({ name }) => name));
  const levels = new Map<string, number>();
  const path: string[] = [];
  /** How many waves must come before one that depends on this service. */
  const depth = (name: string): number => {
    const known = levels.get(name);
    if (known !== undefined) return known;
    if (path.includes(name)) throw circle([...path.slice(path.indexOf(name)), name]);
    path.push(name);
    const below = (byName.get(name)?.dependsOn ?? []).filter((one) => byName.has(one)).map(depth);
    path.pop();
    const level = Math.max(0, ...below) + (names.has(name) ? 1 : 0);
    levels.set(name, level);
    return level;
  };
  const start: S[][] = [];
  for (const service of [...chosen].sort(first)) {
    const level = depth(service.name) - 1;
    while (start.length <= level) start.push([]);
    start[level]?.push(service);
  }
  return { start, stop: start.map((wave) => [...wave].reverse()).reverse() };
}

/**
 * These services and all that depend on them, also through others: whoever takes away what something stands on has
 * to stop that first. In the order of `all`.
 */
export function withDependents<S extends Ordered>(all: readonly S[], names: readonly string[]): S[] {
  const wanted = new Set(names);
  for (let before = -1; before !== wanted.size; ) {
    before = wanted.size;
    for (const { name, dependsOn } of all) {
      if (dependsOn.some((one) => wanted.has(one))) wanted.add(name);
    }
  }
  return all.filter(({ name }) => wanted.has(name));
}

function first(a: Ordered, b: Ordered): number {
  if (a.backupPriority !== b.backupPriority) return b.backupPriority - a.backupPriority;
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

function circle(names: string[]): AppError {
  return new AppError(
    'CONFLICT',
    `The services depend on each other in a circle: ${names.join(' -> ')}. Change their depends_on first.`,
  );
}
