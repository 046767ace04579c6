import { READ_RECORD_KINDS } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { PageQuery, page, strict, Timestamp, Uuid } from '../shapes.ts';

const Kind = Type.Enum([...READ_RECORD_KINDS]);

export const RestoredRecordsQuery = strict({ ...PageQuery, kind: Kind });

export const RestoredRecordsPage = page(
  strict({
    kind: Kind,
    restore_job_id: Uuid,
    restored_at: Timestamp,
    data: Type.Object(
      {},
      { additionalProperties: true, description: 'The record as it was when the backup was made' },
    ),
  }),
);
