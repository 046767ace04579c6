import { AppError } from '@tarfleet/kernel';
import type { Metadata } from './metadata.ts';
import type { Relation } from './relations.ts';

/** A table that comes back: its list in the archive, and what is there now. */
export interface Returning {
  relation: Relation;
  list: string;
  columns: Metadata['tables'][number]['columns'];
}

/**
 * The archive's tables among those that are there. CONFLICT names every difference for which rows would not come back as they
 * were; what is there in addition and fills itself does not matter.
 */
export function compareSchemas(metadata: Metadata, relations: readonly Relation[]): Returning[] {
  const differences: string[] = [];
  const returning: Returning[] = [];
  for (const { list, columns, schema, settings } of metadata.tables) {
    const relation = relations.find(({ table }) => table.name === settings.name);
    if (!relation) {
      differences.push(`${settings.name} is not among the service's tables`);
      continue;
    }
    returning.push({ relation, list, columns });
    const { look, table } = relation;
    const name = table.name;
    for (const old of schema.columns) {
      const now = look.columns.find((one) => one.name === old.name);
      const column = `${name}.${old.name}`;
      if (old.computed) continue;
      if (!now) differences.push(`${column} is not there`);
      else if (now.computed) differences.push(`${column} is computed now`);
      else if (now.type !== old.type) differences.push(`${column} is ${now.type}, and was ${old.type}`);
      else if (now.notNull && !old.notNull) differences.push(`${column} may not be null any more`);
    }
    for (const now of look.columns) {
      const isNew = !schema.columns.some((old) => old.name === now.name && !old.computed);
      if (isNew && now.notNull && !now.filled && !now.computed) {
        differences.push(`${name}.${now.name} is new, may not be null and has no default`);
      }
    }
    const [before, after] = [schema.key.join(', '), look.key.join(', ')];
    if (before !== after) differences.push(`the key of ${name} is (${after}), and was (${before})`);
  }
  if (differences.length === 0) return returning;
  throw new AppError(
    'CONFLICT',
    `The tables are not as they were when the backup was made, and nothing was changed: ${differences.slice(0, 20).join('; ')}${differences.length > 20 ? '; and more' : ''}.`,
  );
}
