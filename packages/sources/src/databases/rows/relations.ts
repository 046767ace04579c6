import type { RowsSelection, RowsTable } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { pgName, pgTable, pgText } from '../names.ts';
import { type ColumnLook, type TableLook, tableOf } from './look.ts';

/** A column whose values are those of another table's column. */
export interface Reference {
  column: string;
  /** One of the tables; null: another, which all tenants share. */
  to: Relation | null;
  schema: string;
  table: string;
  target: string;
  /** Whether the database itself sees to it. */
  enforced: boolean;
}

/** A table as it is configured and as the catalogue describes it. */
export interface Relation {
  /** Its place in the list; part of the names of what is made for it. */
  at: number;
  table: RowsTable;
  look: TableLook;
  /** The columns that are written, in their order. */
  columns: ColumnLook[];
  key: string[];
  references: Reference[];
}

/** The tables, and how they refer to each other: by foreign keys, and by what is configured beside these. */
export function relate({ tables }: RowsSelection, looks: readonly TableLook[]): Relation[] {
  const relations = tables.flatMap((table): Relation[] => {
    const look = tableOf(looks, table);
    if (!look) return [];
    const columns = look.columns.filter(({ computed }) => !computed);
    return [{ at: 0, table, look, columns, key: table.key ?? look.key, references: [] }];
  });
  const named = (schema: string, name: string): Relation | null =>
    relations.find(({ look }) => look.schema === schema && look.name === name) ?? null;
  for (const [at, relation] of relations.entries()) {
    const { table, look } = relation;
    relation.at = at;
    const found = new Map<string, Reference>();
    for (const { columns, targets, schema, table: name } of look.foreignKeys) {
      for (const [place, column] of columns.entries()) {
        // Of a key that begins with the tenant, the rest is what tells rows apart.
        if (column === table.tenantColumn) continue;
        const to = named(schema, name);
        found.set(column, { column, to, schema, table: name, target: targets[place] ?? '', enforced: true });
      }
    }
    for (const { column, table: name, target } of table.references) {
      if (found.has(column)) continue;
      const to = relations.find((one) => one.look.name === name) ?? null;
      if (to && !to.columns.some((one) => one.name === target)) {
        throw new AppError(
          'CONFLICT',
          `${table.name}.${column} refers to ${name}.${target}, which is not there.`,
        );
      }
      const schema = to?.look.schema ?? look.schema;
      found.set(column, { column, to, schema, table: name, target, enforced: false });
    }
    relation.references = [...found.values()];
  }
  return relations;
}

/** SQL that is true of a tenant's rows of the table that is called `alias`. CONFLICT where nothing leads to the tenant. */
export function ownRows(relation: Relation, tenant: string, alias: string, depth = 0): string {
  const { table, references } = relation;
  if (table.tenantColumn !== null) return `${alias}.${pgName(table.tenantColumn)} = ${pgText(tenant)}`;
  const way = references.find(({ column }) => column === table.through);
  if (!way?.to || depth > 50) {
    throw new AppError(
      'CONFLICT',
      `Which rows of ${table.name} are the tenant's is not clear: name its tenant column, or as "through" a column that refers to another of the tables.`,
    );
  }
  const inner = `t${depth}`;
  const whose = ownRows(way.to, tenant, inner, depth + 1);
  return `${alias}.${pgName(way.column)} IN (SELECT ${inner}.${pgName(way.target)} FROM ${pgTable(way.to.look)} AS ${inner} WHERE ${whose})`;
}

interface Order {
  /** Who is referred to comes before who refers. */
  relations: Relation[];
  /** Columns that are written once all rows are there: they close circles. */
  later: Map<Relation, Set<string>>;
}

/** NOT_SUPPORTED for circles that can be closed neither at the end of the transaction nor by a column that may be null. */
export function inOrder(all: readonly Relation[]): Order {
  const later = new Map<Relation, Set<string>>(all.map((one) => [one, new Set<string>()]));
  const order: Relation[] = [];
  const left = new Set(all);
  const holding = (relation: Relation) =>
    relation.look.foreignKeys.filter(({ schema, table, deferrable, columns }) => {
      const other = [...left].find(({ look }) => look.schema === schema && look.name === table);
      // All rows of a statement are there when its foreign keys are looked at.
      const isOwn = other === relation;
      return other && !isOwn && !deferrable && !columns.some((one) => later.get(relation)?.has(one));
    });
  while (left.size > 0) {
    const next = [...left].find((one) => holding(one).length === 0) ?? openCircle(left, holding, later);
    left.delete(next);
    order.push(next);
  }
  return { relations: order, later };
}

function openCircle(
  left: ReadonlySet<Relation>,
  holding: (relation: Relation) => TableLook['foreignKeys'],
  later: Map<Relation, Set<string>>,
): Relation {
  for (const relation of left) {
    const columns = holding(relation).map((foreign) => foreign.columns.find((one) => mayWait(relation, one)));
    if (columns.includes(undefined)) continue;
    for (const column of columns) if (column !== undefined) later.get(relation)?.add(column);
    return relation;
  }
  throw new AppError(
    'NOT_SUPPORTED',
    `The tables ${[...left].map(({ table }) => table.name).join(', ')} refer to each other in a circle of columns that may not be null. Make one of the foreign keys DEFERRABLE.`,
  );
}

function mayWait({ columns, key, table }: Relation, name: string): boolean {
  const nullable = columns.some((one) => one.name === name && !one.notNull);
  return (
    nullable && key.length > 0 && !key.includes(name) && name !== table.tenantColumn && name !== table.through
  );
}
