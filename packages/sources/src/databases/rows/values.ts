import { AppError } from '@tarfleet/kernel';
import { pgName, pgText } from '../names.ts';
import type { ColumnLook } from './look.ts';
import type { Reference, Relation } from './relations.ts';

/** The rows to come of a table; where keys are new, with a column for each new value beside the old one's. */
export function staged({ at }: Relation): string {
  return `pg_temp.tarfleet_rows_${at}`;
}

/** Of the new values of the column at this place. */
export function renewed(at: number): string {
  return `tarfleet_new_${at}`;
}

/** Columns that get new values in another tenant's hands: keys that come from sequences or are UUIDs, and what is configured. */
export function freshColumns(relation: Relation): { at: number; column: ColumnLook; value: string }[] {
  const { columns, key, table, references } = relation;
  return columns.flatMap((column, at) => {
    const { name, type, sequence } = column;
    if (name === table.tenantColumn || references.some((one) => one.column === name)) return [];
    const isNamed = table.generated.includes(name);
    if (!isNamed && !key.includes(name)) return [];
    const made = sequence === null ? column.default : `nextval(${pgText(sequence)}::regclass)`;
    const isCounted = made?.startsWith('nextval(') ?? false;
    if (isNamed || isCounted || type === 'uuid') {
      const value = made ?? (type === 'uuid' ? 'gen_random_uuid()' : null);
      if (value !== null) return [{ at, column, value }];
      throw new AppError('CONFLICT', `${table.name}.${name} has no default that could make new values.`);
    }
    return [];
  });
}

interface RowValues {
  /** The value of a column of a row to come. */
  of(name: string): string;
  /** What it is read from. */
  from: string;
}

/** How each column's value is made of the rows to come. With `renew` keys are new, and references follow them. */
export function rowValues(relation: Relation, tenant: string, renew: boolean): RowValues {
  const { table, columns, references } = relation;
  const fresh = renew ? freshColumns(relation) : [];
  const joins: string[] = [];
  const followed = new Map<string, string>();
  for (const reference of renew ? references : []) {
    const origin = originOf(reference);
    if (!origin) continue;
    const alias = `r${joins.length}`;
    joins.push(
      `LEFT JOIN ${staged(origin.relation)} AS ${alias} ON ${alias}.${pgName(origin.name)} = s.${pgName(reference.column)}`,
    );
    followed.set(reference.column, `${alias}.${renewed(origin.at)}`);
  }
  return {
    from: `${staged(relation)} AS s ${joins.join(' ')}`,
    of(name) {
      const type = columns.find((one) => one.name === name)?.type ?? 'text';
      if (name === table.tenantColumn) return `CAST(${pgText(tenant)} AS ${type})`;
      const own = fresh.find(({ column }) => column.name === name);
      return own ? `s.${renewed(own.at)}` : (followed.get(name) ?? `s.${pgName(name)}`);
    },
  };
}

interface Origin {
  relation: Relation;
  at: number;
  name: string;
}

/** Where the values that a column refers to are made anew, also through tables that refer on; null where they stay. */
function originOf({ to, target }: Reference, depth = 0): Origin | null {
  if (!to || depth > 50) return null;
  const fresh = freshColumns(to).find(({ column }) => column.name === target);
  if (fresh) return { relation: to, at: fresh.at, name: target };
  const onward = to.references.find(({ column }) => column === target);
  return onward ? originOf(onward, depth + 1) : null;
}
