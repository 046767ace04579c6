/** What the archive of a tenant's rows says of itself. */
import { createParser, RowsTable } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { TableLook } from './look.ts';

/** The first and the last of an archive's dumps; by their names the lists lie in between. */
export const METADATA = 'metadata.json';
export const TOTALS = 'totals.json';

const closed = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0 });

export const Metadata = Type.Object(
  {
    v: Type.Literal(1),
    type: Type.Literal('rows'),
    backup_version: Type.String(),
    metadata: Type.Object({
      project_id: Type.Union([Type.Integer(), Type.Null()]),
      project_name: Type.Union([Type.String(), Type.Null()]),
      created_at: Type.String(),
      backup_type: Type.Enum(['manual', 'automatic']),
      cloudbox_version: Type.String(),
    }),
    database: Type.String(),
    server_version: Type.String(),
    tenant: Type.String({ minLength: 1 }),
    /** SHA-256 of the tables' `schema`, in hexadecimal digits. */
    fingerprint: Type.String(),
    tables: Type.Array(
      Type.Object(
        {
          list: Type.String(),
          settings: RowsTable,
          /** The columns of its rows. */
          columns: Type.Array(Type.Object({ name: Type.String(), type: Type.String() }, closed)),
          schema: TableLook,
        },
        closed,
      ),
    ),
  },
  closed,
);
export type Metadata = Static<typeof Metadata>;

export const Totals = Type.Object({ records: Count, tables: Type.Record(Type.String(), Count) }, closed);
export type Totals = Static<typeof Totals>;

const parsers = { metadata: createParser(Metadata), totals: createParser(Totals) };

export function readMetadata(bytes: Buffer): Metadata {
  const parsed = parsers.metadata(json(bytes));
  if (parsed.ok) return parsed.value;
  throw malformed(`${METADATA}: ${parsed.faults.join('; ')}`);
}

export function readTotals(bytes: Buffer): Totals {
  const parsed = parsers.totals(json(bytes));
  if (parsed.ok) return parsed.value;
  throw malformed(`${TOTALS}: ${parsed.faults.join('; ')}`);
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    // What is no JSON does not fit the schema: the caller says so.
    return null;
  }
}

export function malformed(what: string): AppError {
  return new AppError('ARCHIVE_MALFORMED', `The archive of the rows is not as it should be: ${what}.`);
}
