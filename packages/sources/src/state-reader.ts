import { createParser } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Static, TSchema } from 'typebox';
import type { PreparedRestore } from './types.ts';

/**
 * Reads the state of a restore as it comes from a journal. It throws RESTORE_FAILED when that is not what `prepare` gave;
 * `left` says what of the restore is still where.
 */
export function createStateReader<const S extends TSchema>(
  schema: S,
  left: (prepared: PreparedRestore) => string,
): (prepared: PreparedRestore) => Static<S> {
  const parse = createParser(schema);
  return (prepared) => {
    const parsed = parse(prepared.state);
    if (parsed.ok) return parsed.value;
    throw new AppError(
      'RESTORE_FAILED',
      `The record of what was prepared on the server is damaged: ${parsed.faults.join('; ')}. Nothing was done; ${left(prepared)}.`,
    );
  };
}
