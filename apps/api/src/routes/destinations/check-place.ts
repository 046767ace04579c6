import type { DestinationRecord, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { assertNoneCaptured, foldersOn, type Placed } from '../../planner/destination-folders.ts';
import { isInside } from '../plain-path.ts';
import { urlOf } from './location.ts';

/**
 * CONFLICT when another destination lies in the same folder, or one inside the other's; when a service backs up what would
 * be the destination's folder.
 */
export async function checkPlace(
  db: Pick<Repositories, 'destinations' | 'services'>,
  destination: Placed & Pick<DestinationRecord, 'id'>,
): Promise<void> {
  for (const other of await db.destinations.all()) {
    if (other.id === destination.id) continue;
    const how = howNear(destination, other);
    if (how === null) continue;
    throw new AppError(
      'CONFLICT',
      `${urlOf(destination)} ${how} the destination ${other.name} (${urlOf(other)}). Use that one, or a place of its own for this: what one removes would be the other's.`,
      { details: { destination_id: other.id } },
    );
  }
  for (const { service, server } of await db.services.all()) {
    const paths = [...service.configPaths, ...service.dataPaths];
    assertNoneCaptured(`${service.name} on ${server.name}`, paths, foldersOn(server, [destination]));
  }
}

function howNear(one: Placed, other: Placed): string | null {
  if (one.type !== other.type || accountOf(one) !== accountOf(other)) return null;
  const [path, folder] = [folderOf(one), folderOf(other)];
  if (path === null || folder === null) return null;
  if (path === folder) return 'is the place of';
  if (isInside(path, folder)) return 'lies inside';
  return isInside(folder, path) ? 'lies around' : null;
}

/** Two accounts of one host may be shown different folders by the same path. */
function accountOf({ config: { host, port, username } }: Placed): string {
  return JSON.stringify([host, port, username]);
}

/** Null for what keeps objects, which are in no folders. */
function folderOf({ config: { path } }: Placed): string | null {
  return typeof path === 'string' ? path.replace(/\/+$/, '') : null;
}
