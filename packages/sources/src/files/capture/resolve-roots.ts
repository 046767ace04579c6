import { posix } from 'node:path';
import type { ArchiveRoot } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { splitRecords } from '../nul-records.ts';
import { isBelow, show } from '../paths.ts';

/**
 * For each argument: what it is (directory, other, missing; `l` before it for a link), its path, and where it
 * leads when it is a link; NUL between. The dot keeps a newline at the end of a name.
 */
const SCRIPT = `for path do
  kind=o real=
  [ -d "$path" ] && kind=d
  if [ -L "$path" ]; then
    [ -e "$path" ] && real=$(readlink -f -- "$path"; echo .) && real=\${real%??}
    kind=l$kind
  elif ! [ -e "$path" ]; then kind=m
  fi
  printf '%s\\0%s\\0%s\\0' "$kind" "$path" "$real"
done`;

/** The service's paths as the archive names them: absolute, without `.`, `..` and doubled slashes, each once. */
export function rootPaths(service: ServiceTarget): string[] {
  const plain = [...service.configPaths, ...service.dataPaths].map((path) =>
    posix.normalize(`/${path}`).replace(/(?<=.)\/$/, ''),
  );
  return [...new Set(plain)];
}

/** What is at a path: `d` a folder, `o` anything else, `m` nothing, with `l` before it for a link; where that leads. */
export interface FoundPath {
  kind: string;
  path: Buffer;
  real: Buffer;
}

/**
 * What a service's paths come to on the server now. A path that is a link gives two roots: the link itself, and
 * what it leads to under its own name, so that both come back. PATH_NOT_FOUND when not one of the paths is there.
 */
export async function resolveRoots(
  session: Session,
  service: ServiceTarget,
  signal: AbortSignal,
  warn: (warning: SourceWarning) => void,
): Promise<ArchiveRoot[]> {
  const paths = rootPaths(service);
  if (paths.length === 0) return [];
  const found = await session.run(['sh', '-c', SCRIPT, 'sh', ...paths], { signal });
  const records = splitRecords(found.stdout);
  if (found.code !== 0 || records.length !== paths.length * 3) {
    throw new AppError(
      'COMMAND_FAILED',
      `The paths of ${service.name} could not be looked up on the server: ${found.stderr.toString().trim()}`,
    );
  }
  const each = paths.map((_path, index) => {
    const [kind = '', path = '', real = ''] = records.slice(index * 3);
    return { kind: kind.toString(), path: Buffer.from(path), real: Buffer.from(real) };
  });
  return rootsOf(service, each, warn);
}

/** The roots that were found. PATH_NOT_FOUND when there is none. */
export function rootsOf(
  service: ServiceTarget,
  found: readonly FoundPath[],
  warn: (warning: SourceWarning) => void,
): ArchiveRoot[] {
  const roots = new Map<string, ArchiveRoot>();
  const missing: Buffer[] = [];
  const add = (path: Buffer, type: ArchiveRoot['type']): void =>
    void roots.set(path.toString('latin1'), { path, type });
  for (const { kind, path, real } of found) {
    const type = kind.endsWith('d') ? 'directory' : 'other';
    if (kind === 'm') missing.push(path);
    else if (!kind.startsWith('l')) add(path, type);
    else {
      add(path, 'symlink');
      if (real.length > 0) add(real, type);
      else warn({ code: 'LINK_DANGLING', message: `${path.toString()} is a link that leads nowhere.`, path });
    }
  }
  if (missing.length === found.length) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `None of the paths of ${service.name} is on the server, or its user cannot reach them: ${missing.map(show).join(', ')}. Correct the service, or put the paths there.`,
    );
  }
  for (const path of missing) {
    warn({
      code: 'PATH_NOT_FOUND',
      message: `${path.toString()} is not on the server, or its user cannot reach it.`,
      path,
    });
  }
  return [...roots.values()];
}

/** For each root that lies inside another: itself, and the closest one around it. */
export function nestedRoots(roots: readonly ArchiveRoot[]): { inner: Buffer; outer: Buffer }[] {
  return roots.flatMap(({ path: inner }) => {
    const around = roots.filter((root) => root.type === 'directory' && isBelow(inner, root.path));
    const closest = around.reduce<Buffer | null>(
      (best, { path }) => (best === null || path.length > best.length ? path : best),
      null,
    );
    return closest ? [{ inner, outer: closest }] : [];
  });
}
