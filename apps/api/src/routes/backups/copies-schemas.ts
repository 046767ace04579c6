import { MOST_COPIES } from '@tarfleet/contracts';
import type { CopyRecord } from '@tarfleet/db';
import { type Static, Type } from 'typebox';
import { urlOf } from '../destinations/location.ts';
import { nullable, strict, Timestamp, Uuid } from '../shapes.ts';
import { iso } from './formats.ts';

const Count = Type.Integer({ minimum: 0 });

/** Where copies of a backup are to go, whichever document asks for it. */
export const CopyTo = Type.Optional(
  Type.Array(Type.String({ ...Uuid }), {
    ...{ maxItems: MOST_COPIES, uniqueItems: true },
    description:
      'Destinations that get a copy once the backup is made. While a copy has failed the backup is `partial`; it can be restored all the same',
  }),
);

/** Which copy is to be read. */
export const FromDestination = Type.Optional(
  Type.String({ ...Uuid, description: 'Read the copy at this destination; left out, the backup’s own' }),
);

export const CopyView = strict({
  destination_id: Uuid,
  destination_name: Type.String(),
  status: Type.Enum(['pending', 'copying', 'completed', 'failed']),
  location: nullable(Type.String({ description: 'Where it lies, as a URL' })),
  job_id: nullable(Uuid),
  size_bytes: nullable(Count),
  started_at: nullable(Timestamp),
  completed_at: nullable(Timestamp),
  verified_at: nullable(Timestamp),
  error: nullable(strict({ code: Type.String(), message: Type.String() })),
});

export function viewCopy(copy: CopyRecord, keyPrefix: string): Static<typeof CopyView> {
  const complete = copy.status === 'completed';
  return {
    destination_id: copy.destinationId,
    destination_name: copy.destination.name,
    status: copy.status,
    location: complete ? `${urlOf(copy.destination)}/${keyPrefix}` : null,
    job_id: copy.jobId,
    size_bytes: complete ? copy.bytes : null,
    started_at: iso(copy.begunAt),
    completed_at: complete ? iso(copy.endedAt) : null,
    verified_at: iso(copy.verifiedAt),
    error: copy.errorCode === null ? null : { code: copy.errorCode, message: copy.errorMessage ?? '' },
  };
}
