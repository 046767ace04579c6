import type { RowsTarget } from '@tarfleet/contracts';
import type { PostgresTools } from '../postgres/tools.ts';
import type { ReadDump } from '../read-dumps.ts';
import { compareSchemas, type Returning } from './compare.ts';
import { lookAtRows } from './look.ts';
import { METADATA, type Metadata, malformed, readMetadata } from './metadata.ts';
import { type Relation, relate } from './relations.ts';

/** What is kept in memory of what the archive says of itself. */
const SMALL_MAX = 64 * 1024 * 1024;

/** What an archive begins with. ARCHIVE_MALFORMED. */
export async function firstOf(dumps: AsyncGenerator<ReadDump>): Promise<Metadata> {
  const first = await dumps.next();
  if (first.done || first.value.name !== METADATA) throw malformed(`it does not begin with ${METADATA}`);
  return readMetadata(await small(first.value));
}

/** The tables of the service that the archive holds, as they are there now. CONFLICT with all that differs. */
export async function compareTables(
  tools: PostgresTools,
  target: RowsTarget,
  metadata: Metadata,
): Promise<{ relations: Relation[]; returning: Returning[] }> {
  const names = metadata.tables.map(({ settings }) => settings.name);
  const tables = target.rows.tables.filter(({ name }) => names.includes(name));
  if (tables.length === 0) throw malformed('it holds none of the tables of the service');
  const selection = { ...target.rows, tables };
  const look = await lookAtRows(tools, { ...target, rows: selection });
  const relations = relate(selection, look.tables);
  return { relations, returning: compareSchemas(metadata, relations) };
}

export async function small({ name, bytes }: ReadDump): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of bytes) {
    size += part.length;
    if (size > SMALL_MAX) throw malformed(`${name} is too long`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
