import type { DestinationFolders, ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { DestinationPlace, SourceWarning } from '@tarfleet/sources';
import type { Session } from '@tarfleet/transport';

/** Prints where each argument leads, whether it is there or not, with a NUL behind it. */
const SCRIPT = `for path do
  real=$(readlink -m -- "$path" 2>/dev/null || readlink -f -- "$path" 2>/dev/null || printf '%s\\n' "$path"; echo .)
  printf '%s\\0' "\${real%??}"
done`;

/** Where destinations lie on the server, symlinks resolved; as they are configured where the server does not tell. */
export async function resolveFolders(
  session: Session,
  folders: DestinationFolders,
  signal: AbortSignal,
): Promise<DestinationPlace[]> {
  const real = await realPaths(
    session,
    folders.map(({ path }) => path),
    signal,
  );
  return folders.map(({ name }, at) => ({ name, path: Buffer.from(real[at] ?? '') }));
}

/** What is left to be backed up, and which folders that leaves out, absolute, by each name that a restore may know. */
export interface WithoutDestinations {
  service: ServiceTarget;
  leftOut: Buffer[];
}

/**
 * The service without the destinations' folders inside its paths: they are excluded, each with a warning.
 * PATH_REFUSED when one of its paths lies in such a folder.
 */
export async function withoutDestinations(
  service: ServiceTarget,
  {
    session,
    signal,
    ...given
  }: { session: Session; folders: DestinationFolders; signal: AbortSignal } & {
    warn(warning: SourceWarning): void;
  },
): Promise<WithoutDestinations> {
  const paths = [...service.configPaths, ...service.dataPaths];
  if (given.folders.length === 0 || paths.length === 0) return { service, leftOut: [] };
  const folders = await resolveFolders(session, given.folders, signal);
  const real = await realPaths(session, paths, signal);
  const leftOut = new Set<string>();
  for (const { name, path } of folders) {
    const folder = path.toString();
    paths.forEach((asked, at) => {
      const root = real[at] ?? asked;
      if (isAtOrBelow(root, folder)) {
        throw new AppError(
          'PATH_REFUSED',
          `The path ${asked} of ${service.name} lies in the folder of the destination ${name} (${folder}): a backup of it would hold backups. Name other paths, or move the destination.`,
        );
      }
      if (!isAtOrBelow(folder, root)) return;
      const rest = root === '/' ? folder : folder.slice(root.length);
      for (const place of [root, asked]) leftOut.add(place === '/' ? rest : `${place}${rest}`);
      given.warn({
        code: 'DESTINATION_LEFT_OUT',
        message: `${folder} is the folder of the destination ${name}; the backup does not hold it, and restores leave it as it is.`,
        path,
      });
    });
  }
  const exclude = [...service.exclude, ...[...leftOut].map(escapeGlob)];
  return { service: { ...service, exclude }, leftOut: [...leftOut].map((path) => Buffer.from(path)) };
}

async function realPaths(session: Session, paths: readonly string[], signal: AbortSignal): Promise<string[]> {
  if (paths.length === 0) return [];
  const { shell } = await session.capabilities(signal);
  if (!shell) return overSftp(session, paths, signal);
  const found = await session.run(['sh', '-c', SCRIPT, 'sh', ...paths], { signal });
  const real = found.stdout.toString().split('\0').slice(0, -1);
  if (found.code === 0 && real.length === paths.length) return real;
  throw new AppError(
    'COMMAND_FAILED',
    `Where folders of destinations lie could not be looked up on the server: ${found.stderr.toString().trim()}`,
  );
}

async function overSftp(session: Session, paths: readonly string[], signal: AbortSignal): Promise<string[]> {
  const files = await session.sftp(signal);
  try {
    const real: string[] = [];
    for (const path of paths) {
      // What is not there, or not shown, is nothing that could be read either.
      const found = await files.realpath(Buffer.from(path)).catch((error: unknown) => {
        if (error instanceof AppError) throw error;
        return null;
      });
      real.push(found?.toString() ?? path);
    }
    return real;
  } finally {
    await files.close();
  }
}

function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

/** So that a path stands for itself among excludes. */
function escapeGlob(path: string): string {
  return path.replace(/[\\*?[\]]/g, '\\$&');
}
