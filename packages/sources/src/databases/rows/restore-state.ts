import { RowsTarget } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { createStateReader } from '../../state-reader.ts';

const Count = Type.Integer({ minimum: 0 });

const RowsState = Type.Object(
  {
    kind: Type.Literal('rows'),
    /** Its password as it was sealed for the pool. */
    target: RowsTarget,
    folder: Type.String({ pattern: '^/.*/databases/[A-Za-z0-9_.-]+$' }),
    parts: Count,
    bytes: Count,
  },
  { additionalProperties: false },
);
export type RowsState = Static<typeof RowsState>;

export const readRowsState = createStateReader(
  RowsState,
  ({ folders }) => `the rows are in ${folders.join(', ')}`,
);
