import type { DestinationRecord, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { assertNoneCaptured, foldersOn, type Placed } from '../../planner/destination-folders.ts';
import { isInside } from '../plain-path.ts';
import { urlOf } from './location.ts';

/**
 * CONFLICT when another destination lies in the same place, or one inside the other; when a service backs up what would
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
  const [place, folder] = [placeOf(one), placeOf(other)];
  if (one.type !== other.type || place.host !== folder.host) return null;
  if (place.path === folder.path) return 'is the place of';
  if (isInside(place.path, folder.path)) return 'lies inside';
  return isInside(folder.path, place.path) ? 'lies around' : null;
}

/** Whose storage it is, and where in that. Two accounts of one host may be shown different folders by the same path. */
function placeOf({ config }: Placed): { host: string; path: string } {
  const { host, port, username, endpoint, account, container, bucket, path, prefix } = config;
  const where = path ?? (prefix === undefined ? '' : `/${prefix}`);
  return {
    host: JSON.stringify([host, port, username, endpoint, account, container, bucket]),
    path: String(where).replace(/\/+$/, ''),
  };
}
