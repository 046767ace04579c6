/** Which rows of a shared database are one tenant's, and how they hang together. */
import { type Static, Type } from 'typebox';
import { ProjectId } from './ids.ts';

const closed = { additionalProperties: false } as const;
const Name = Type.String({ minLength: 1 });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const RowsTable = Type.Object(
  {
    schema: Name,
    /** Also what its list is called in the archive. */
    name: Name,
    /** The column that holds the tenant; null where `through` leads to it. */
    tenantColumn: orNull(Name),
    /** A column that refers to another of these tables: its rows are the tenant's if that one's are. */
    through: orNull(Name),
    /** Null: the primary key. */
    key: orNull(Type.Array(Name, { minItems: 1 })),
    /** References that are no foreign keys of the database: of a column to another table's. */
    references: Type.Array(Type.Object({ column: Name, table: Name, target: Name }, closed)),
    /** Get new values, by their defaults, when the rows go to another tenant. */
    generated: Type.Array(Name),
  },
  closed,
);
export type RowsTable = Static<typeof RowsTable>;

export const RowsSelection = Type.Object(
  {
    /** The tenant as the column's text. */
    tenant: Name,
    tables: Type.Array(RowsTable, { minItems: 1 }),
    /** What an archive says of where it is from; a restore does not need it. */
    project: Type.Optional(
      Type.Object({ id: ProjectId, name: Type.String(), automatic: Type.Boolean() }, closed),
    ),
  },
  closed,
);
export type RowsSelection = Static<typeof RowsSelection>;
