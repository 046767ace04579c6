import type { DestinationFolders } from '@tarfleet/contracts';
import type { DestinationRecord, ServerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { isInside } from '../routes/plain-path.ts';

type Folder = DestinationFolders[number];
type Machine = Pick<ServerRecord, 'kind' | 'host'>;
export type Placed = Pick<DestinationRecord, 'name' | 'type' | 'config'>;

/**
 * The folders of destinations that may lie on a server's own disks: those of local ones on the workers' machine, of
 * SFTP and FTP ones on the server of that host. As they are configured; where symlinks lead, the worker sees.
 */
export function foldersOn({ kind, host }: Machine, destinations: readonly Placed[]): DestinationFolders {
  const machine = kind === 'local' ? OWN_MACHINE : nameOf(host ?? '');
  return destinations.flatMap((destination) => {
    const { path } = destination.config;
    if (typeof path !== 'string' || machineOf(destination) !== machine) return [];
    return [{ name: destination.name, path: plain(path) }];
  });
}

/** What an answer's plan says of them: nothing where there is none. */
export function planned(folders: DestinationFolders): { destinationFolders?: DestinationFolders } {
  return folders.length === 0 ? {} : { destinationFolders: folders };
}

/** CONFLICT when one of a service's paths is a destination's folder, or lies inside one. */
export function assertNoneCaptured(
  service: string,
  paths: readonly string[],
  folders: readonly Folder[],
): void {
  const found = firstInside(paths, folders);
  if (!found) return;
  const { path, folder } = found;
  throw new AppError(
    'CONFLICT',
    `The path ${path} of the service ${service} ${relation(path, folder)}: a backup of it would hold backups, and a restore replace them. Name other paths, or move the destination; to have backups in several places, copy them to further destinations (copy_to).`,
  );
}

/** CONFLICT when what a restore would put in place is a destination's folder, or lies inside one. */
export function assertNoneReplaced(targets: readonly string[], folders: readonly Folder[]): void {
  const found = firstInside(targets, folders);
  if (!found) return;
  const { path, folder } = found;
  throw new AppError(
    'CONFLICT',
    `The restore would write to ${path}, which ${relation(path, folder)}: it could destroy the backups there. Restore to another folder, or leave that path out.`,
  );
}

function firstInside(paths: readonly string[], folders: readonly Folder[]) {
  for (const path of paths) {
    const folder = folders.find((one) => isInside(path, one.path) || one.path === '/');
    if (folder) return { path, folder };
  }
  return null;
}

function relation(path: string, { name, path: place }: Folder): string {
  return path === place
    ? `is the folder of the destination ${name}`
    : `lies inside the folder of the destination ${name} (${place})`;
}

const OWN_MACHINE = 'localhost';

function machineOf({ type, config }: Placed): string | null {
  if (type === 'local') return OWN_MACHINE;
  if (type !== 'sftp' && type !== 'ftp') return null;
  return nameOf(String((config as { host?: unknown }).host ?? ''));
}

function nameOf(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/.test(name) ? OWN_MACHINE : name;
}

function plain(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}
