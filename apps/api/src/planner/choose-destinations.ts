import { MOST_COPIES } from '@tarfleet/contracts';
import type { CopyDraft, DestinationRecord, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { urlOf } from '../routes/destinations/location.ts';

export interface DestinationWish {
  /** Null: the default destination. */
  destinationId: string | null;
  /** Where copies go; left out, nowhere. */
  copyTo?: readonly string[];
  scheduleId: string | null;
}

export interface ChosenDestinations {
  main: DestinationRecord;
  copies: CopyDraft[];
}

/**
 * Where a backup goes, and where copies of it. NOT_FOUND, CONFLICT for what is switched off. A schedule's backup is made
 * also when one of its further destinations is switched off meanwhile: that copy has failed, and can be tried again.
 */
export async function chooseDestinations(
  db: Pick<Repositories, 'destinations'>,
  { destinationId, copyTo = [], scheduleId }: DestinationWish,
): Promise<ChosenDestinations> {
  const main = destinationId ? await db.destinations.get(destinationId) : await db.destinations.getDefault();
  if (!main) throw missing(destinationId);
  if (!main.enabled) throw switchedOff(main);
  const copies: CopyDraft[] = [];
  const places: Place[] = [main];
  for (const id of copyTo) {
    const one = await db.destinations.get(id);
    if (!one) throw missing(id);
    assertFurther(one, places);
    places.push(one);
    if (!one.enabled && scheduleId === null) throw switchedOff(one);
    const failure = one.enabled ? null : ({ ...toFault(switchedOff(one)), retryable: false } as const);
    copies.push({ destinationId: id, failure });
  }
  return { main, copies };
}

/** What a schedule says of copies: what is wrong with it already now. What the default destination is shows when it is due. */
export async function checkCopies(
  db: Pick<Repositories, 'destinations'>,
  destinationId: string | null,
  copyTo: readonly string[],
): Promise<void> {
  const main = destinationId === null ? null : await db.destinations.get(destinationId);
  const places: Place[] = main ? [main] : [];
  for (const id of copyTo) {
    const one = await db.destinations.get(id);
    if (!one) throw missing(id);
    assertFurther(one, places, main === null ? MOST_COPIES : MOST_COPIES + 1);
    places.push(one);
  }
}

type Place = { id: string; name: string; type: string; config: unknown };

/**
 * CONFLICT unless a destination is another place than those that hold or will hold the backup, its own among them: under
 * two names, one place would look like two.
 */
export function assertFurther(one: Place, places: readonly Place[], most = MOST_COPIES + 1): void {
  const same = places.find((other) => isSame(one, other));
  if (same) {
    throw new AppError(
      'CONFLICT',
      same.id === one.id
        ? `The destination ${one.name} is named twice: it holds the backup already.`
        : `The destinations ${one.name} and ${same.name} are one place.`,
    );
  }
  if (places.length >= most) {
    throw new AppError('CONFLICT', `A backup is copied to at most ${MOST_COPIES} destinations.`);
  }
}

function isSame(one: Place, other: Place): boolean {
  const endpointOf = ({ config }: Place) => (config as { endpoint?: string }).endpoint;
  return one.id === other.id || (urlOf(one) === urlOf(other) && endpointOf(one) === endpointOf(other));
}

export function switchedOff({ name }: Pick<DestinationRecord, 'name'>): AppError {
  return new AppError('CONFLICT', `The destination ${name} is switched off: enable it, or name another one.`);
}

function toFault({ code, message }: AppError) {
  return { code, message };
}

/** A fault of the request: DESTINATION_NOT_FOUND is what a worker says of a folder or bucket that is missing. */
function missing(id: string | null): AppError {
  return new AppError(
    'NOT_FOUND',
    id
      ? `There is no destination ${id}.`
      : 'No destination is the default one. Set is_default on one, or name it by destination_id.',
  );
}
