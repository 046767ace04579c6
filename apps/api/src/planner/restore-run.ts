import { posix } from 'node:path';
import type { RestorePlan } from '@tarfleet/contracts';
import type { ServiceRecord } from '@tarfleet/db';
import { isInside } from '../routes/plain-path.ts';
import { orderServices, withDependents } from './service-order.ts';
import { toServiceRun } from './service-run.ts';

/** What a restore or its undoing does with the services of the server, besides their files. */
export interface RestoreRun {
  run: Pick<RestorePlan, 'services' | 'stopOrder' | 'startOrder'>;
  /** Ids of all services that are concerned, those without anything to stop too: nothing else may work on them. */
  concerned: string[];
}

/**
 * Which of a server's services are concerned when these paths change: those whose own paths are equal to them, lie in
 * them or around them, and all that depend on those. In the plan are those that can be stopped or checked. CONFLICT
 * when they depend on each other in a circle.
 */
export function planRun(all: readonly ServiceRecord[], targets: readonly string[]): RestoreRun {
  const touched = all.filter(
    (service) =>
      targets.includes(databasePlace(service)) || pathsOf(service).some((path) => overlapsAny(path, targets)),
  );
  const concerned = withDependents(
    all,
    touched.map(({ name }) => name),
  );
  // It is asked to put its own data in place.
  const staysUp = new Set(
    all
      .filter((one) => SERVERS.includes(one.type) && targets.includes(databasePlace(one)))
      .map(({ id }) => id),
  );
  const runs = new Map(concerned.map((service) => [service.id, toServiceRun(service)]));
  const acted = concerned.filter(({ id }) => {
    const run = runs.get(id);
    if (staysUp.has(id)) return false;
    return run !== undefined && (run.runner.kind !== 'none' || run.healthCheck !== null);
  });
  const { stop, start } = orderServices(all, acted);
  const ids = (waves: ServiceRecord[][]): string[][] =>
    waves.map((wave) => wave.map(({ id }) => id)).filter((wave) => wave.length > 0);
  return {
    run: {
      services: acted.flatMap(({ id }) => runs.get(id) ?? []),
      stopOrder: ids(stop),
      startOrder: ids(start),
    },
    concerned: concerned.map(({ id }) => id),
  };
}

/**
 * What is put in place: of these roots all of it, or what of `paths` lies in them or around them; below `restorePath`
 * where that is given. All in their plain form.
 */
export function targetsOf(
  roots: readonly string[],
  { paths, restorePath }: { paths: readonly string[] | null; restorePath: string | null },
): string[] {
  const chosen = roots.flatMap((root) =>
    paths === null ? [root] : paths.flatMap((path) => narrower(root, path)),
  );
  const places = chosen.map((path) => (restorePath === null ? path : posix.join(restorePath, path)));
  return [...new Set(places)].sort();
}

/** Paths of the services that are not restored, as far as they lie inside what is and are not restored by name. */
export function pathsToKeep(
  all: readonly ServiceRecord[],
  targets: readonly string[],
  restoredIds: readonly string[],
): string[] {
  const others = all.filter(({ id }) => !restoredIds.includes(id)).flatMap(pathsOf);
  const inside = others.filter(
    (path) => !targets.includes(path) && targets.some((target) => isBelow(path, target)),
  );
  return [...new Set(inside)].sort();
}

export function overlapsAny(path: string, others: readonly string[]): boolean {
  return others.some((other) => isBelow(path, other) || isBelow(other, path));
}

/** Those that put back their databases themselves, and so must run. */
const SERVERS = ['postgres', 'mysql', 'rows'];

/** What stands for a service's database among the paths that a restore puts in place; no path is like it. */
export function databasePlace({ id }: Pick<ServiceRecord, 'id'>): string {
  return `database:${id}`;
}

function narrower(root: string, path: string): string[] {
  if (isBelow(path, root)) return [path];
  return isBelow(root, path) ? [root] : [];
}

/** As `isInside`, of which `/` is no folder. */
function isBelow(path: string, folder: string): boolean {
  return folder === '/' || isInside(path, folder);
}

function pathsOf({ configPaths, dataPaths }: ServiceRecord): string[] {
  return [...configPaths, ...dataPaths];
}
