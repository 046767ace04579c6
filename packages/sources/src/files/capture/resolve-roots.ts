import type { ArchiveRoot } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { splitRecords } from '../nul-records.ts';

/** For each argument: what it is, its path, and where it leads when it is a link to a folder; NUL between. */
const SCRIPT = `for path do
  if [ -L "$path" ] && [ -d "$path" ]; then
    real=$(readlink -f -- "$path"; echo .) && printf 'l\\0%s\\0%s\\0' "$path" "\${real%??}"
  elif [ -d "$path" ]; then printf 'd\\0%s\\0\\0' "$path"
  elif [ -e "$path" ] || [ -L "$path" ]; then printf 'o\\0%s\\0\\0' "$path"
  else printf 'm\\0%s\\0\\0' "$path"
  fi
done`;

/**
 * What a service's paths come to on the server now. A path that is a link to a folder gives two roots: the link,
 * and the folder under its own name, so that both come back. Roots inside other roots are left to those.
 * PATH_NOT_FOUND when not one of the paths is there.
 */
export async function resolveRoots(
  session: Session,
  service: ServiceTarget,
  signal: AbortSignal,
  warn: (warning: SourceWarning) => void,
): Promise<ArchiveRoot[]> {
  const paths = [...new Set([...service.configPaths, ...service.dataPaths])];
  const found = await session.run(['sh', '-c', SCRIPT, 'sh', ...paths], { signal });
  const records = splitRecords(found.stdout);
  if (found.code !== 0 || records.length !== paths.length * 3) {
    throw new AppError(
      'COMMAND_FAILED',
      `The paths of ${service.name} could not be looked up on the server.`,
    );
  }
  const roots = new Map<string, ArchiveRoot>();
  const missing: Buffer[] = [];
  const add = (root: ArchiveRoot): void => void roots.set(root.path.toString('latin1'), root);
  for (let index = 0; index < records.length; index += 3) {
    const [kind, path, real] = records.slice(index, index + 3) as [Buffer, Buffer, Buffer];
    if (kind.toString() === 'm') missing.push(path);
    else if (kind.toString() === 'l') {
      add({ path, type: 'symlink' });
      add({ path: real, type: 'directory' });
    } else add({ path, type: kind.toString() === 'd' ? 'directory' : 'other' });
  }
  if (missing.length === paths.length && paths.length > 0) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `None of the paths of ${service.name} is on the server: ${missing.map(String).join(', ')}. Correct the service, or put the paths there.`,
    );
  }
  for (const path of missing) {
    warn({ code: 'PATH_NOT_FOUND', message: `${path.toString()} is not on the server.`, path });
  }
  return [...roots.values()].filter((root) => ![...roots.values()].some((other) => holds(other, root)));
}

function holds(outer: ArchiveRoot, inner: ArchiveRoot): boolean {
  if (outer === inner || outer.type !== 'directory') return false;
  const prefix = outer.path.toString('latin1').replace(/\/?$/, '/');
  return inner.path.toString('latin1').startsWith(prefix);
}
