import type { RowsSelection, RowsTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { pgText } from '../names.ts';
import type { PostgresTools } from '../postgres/tools.ts';

const closed = { additionalProperties: false } as const;
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const ColumnLook = Type.Object(
  {
    name: Type.String(),
    type: Type.String(),
    notNull: Type.Boolean(),
    /** Computed from other columns, and so never written. */
    computed: Type.Boolean(),
    /** An identity, or a default. */
    filled: Type.Boolean(),
    /** As SQL. */
    default: orNull(Type.String()),
    /** Of an identity or a serial column, as text for `regclass`. */
    sequence: orNull(Type.String()),
  },
  closed,
);
export type ColumnLook = Static<typeof ColumnLook>;

export const TableLook = Type.Object(
  {
    schema: Type.String(),
    name: Type.String(),
    columns: Type.Array(ColumnLook),
    /** The primary key, in its order. */
    key: Type.Array(Type.String()),
    foreignKeys: Type.Array(
      Type.Object(
        {
          name: Type.String(),
          columns: Type.Array(Type.String()),
          schema: Type.String(),
          table: Type.String(),
          targets: Type.Array(Type.String()),
          deferrable: Type.Boolean(),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type TableLook = Static<typeof TableLook>;

export interface RowsLook {
  version: string;
  encoding: string;
  /** Whether the server counts what a transaction changes. */
  counts: boolean;
  tables: TableLook[];
  /** Of these tables, those in which this user may not insert and delete. */
  readOnly: string[];
}

/**
 * SQL for one JSON value: the tables as the catalogue describes them, in the order of the list; those that are not there are
 * left out. Names of types and functions are whole as long as `search_path` is `pg_catalog`.
 */
export function tablesExpression(tables: readonly { schema: string; name: string }[]): string {
  const list = tables.map(({ schema, name }, at) => `(${at}, ${pgText(schema)}, ${pgText(name)})`).join(', ');
  return `(SELECT coalesce(json_agg(json_build_object(
      'schema', n.nspname, 'name', c.relname,
      'columns', (SELECT json_agg(json_build_object(
          'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
          'computed', a.attgenerated <> '', 'filled', a.atthasdef OR a.attidentity <> '',
          'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
          'sequence', pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname)
        ) ORDER BY a.attnum)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
      'key', (SELECT coalesce(json_agg(a.attname ORDER BY k.at), '[]'::json)
        FROM pg_constraint p CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY AS k (num, at)
        JOIN pg_attribute a ON a.attrelid = p.conrelid AND a.attnum = k.num
        WHERE p.conrelid = c.oid AND p.contype = 'p'),
      'foreignKeys', (SELECT coalesce(json_agg(json_build_object(
          'name', f.conname, 'schema', fn.nspname, 'table', fc.relname, 'deferrable', f.condeferrable,
          'columns', (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(f.conkey) WITH ORDINALITY AS k (num, at)
            JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num),
          'targets', (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(f.confkey) WITH ORDINALITY AS k (num, at)
            JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num)
        ) ORDER BY f.conname), '[]'::json)
        FROM pg_constraint f JOIN pg_class fc ON fc.oid = f.confrelid JOIN pg_namespace fn ON fn.oid = fc.relnamespace
        WHERE f.conrelid = c.oid AND f.contype = 'f')
    ) ORDER BY w.at), '[]'::json)
    FROM (VALUES ${list}) AS w (at, schema, name)
    JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p'))`;
}

/** PATH_NOT_FOUND for a table that is not there, CONFLICT for a column; NOT_SUPPORTED for an encoding without a meaning. */
export async function lookAtRows(tools: PostgresTools, target: RowsTarget): Promise<RowsLook> {
  const { tables } = target.rows;
  const list = tables.map(({ schema, name }) => `(${pgText(schema)}, ${pgText(name)})`).join(', ');
  // One line, whatever the user's own settings are.
  const look = await tools.json<RowsLook>(
    target.database,
    `SET search_path = pg_catalog;
    SELECT json_build_object('version', current_setting('server_version'), 'encoding', getdatabaseencoding(),
      'counts', current_setting('track_counts') = 'on', 'tables', ${tablesExpression(tables)},
      'readOnly', (SELECT coalesce(json_agg(c.relname), '[]'::json) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (n.nspname, c.relname) IN (${list}) AND NOT (has_table_privilege(c.oid, 'SELECT')
          AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE'))))`,
  );
  if (look.encoding === 'SQL_ASCII') {
    throw new AppError(
      'NOT_SUPPORTED',
      `The database ${target.database} does not say in which encoding its texts are (SQL_ASCII): its rows cannot be told as JSON.`,
    );
  }
  assertThere(target.rows, look.tables);
  return look;
}

function assertThere({ tables }: RowsSelection, found: readonly TableLook[]): void {
  const missing = tables.filter((one) => !tableOf(found, one));
  if (missing.length > 0) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `The database has no table ${missing.map(({ schema, name }) => `${schema}.${name}`).join(', ')}. Correct the service's list of tables.`,
    );
  }
  for (const table of tables) {
    const columns = tableOf(found, table)?.columns.map(({ name }) => name) ?? [];
    const named = [
      ...[table.tenantColumn, table.through].filter((one) => one !== null),
      ...(table.key ?? []),
      ...table.generated,
      ...table.references.map(({ column }) => column),
    ];
    const unknown = named.find((one) => !columns.includes(one));
    if (unknown === undefined) continue;
    throw new AppError(
      'CONFLICT',
      `The table ${table.name} has no column ${unknown}. Correct the service's list of tables.`,
    );
  }
}

export function tableOf(
  tables: readonly TableLook[],
  { schema, name }: { schema: string; name: string },
): TableLook | undefined {
  return tables.find((one) => one.schema === schema && one.name === name);
}
