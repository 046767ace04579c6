import { createHash } from 'node:crypto';
import type { RowsTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { DatabaseCapture } from '../database-capture.ts';
import type { Dump } from '../dump-tar.ts';
import { listName, pgName, pgTable } from '../names.ts';
import type { PostgresTools } from '../postgres/tools.ts';
import { type RunningTool, toolOutput } from '../run-tool.ts';
import { MARK } from './copy-text.ts';
import { createRowWriter } from './copy-to-json.ts';
import { linesOf, NEWLINE } from './lines.ts';
import { lookAtRows, type RowsLook, tablesExpression } from './look.ts';
import { METADATA, type Metadata, TOTALS, type Totals } from './metadata.ts';
import { ownRows, type Relation, relate } from './relations.ts';
import { SESSION_SETTINGS } from './session-settings.ts';

/** Of the document's structure, and of what writes it. */
const VERSIONS = { backup_version: '1.0', cloudbox_version: '1.0.0' };
const END_OF_PART = `SELECT chr(92) || '.';\n`;

/** The rows of one tenant, by psql and in one snapshot: a list for each table. */
export async function captureRows(tools: PostgresTools, target: RowsTarget): Promise<DatabaseCapture> {
  const look = await lookAtRows(tools, target);
  // Also to see that every table leads to the tenant, before anything starts.
  for (const one of relate(target.rows, look.tables)) ownRows(one, target.rows.tenant, 't');
  const totals: Totals = { records: 0, tables: {} };

  async function* dumps(): AsyncGenerator<Dump> {
    const tool = await tools.psql(target.database);
    const printed = printedParts(tool);
    try {
      tool.stdin.write(beginning(target));
      const tables = JSON.parse((await onlyLine(printed())) || 'null') as RowsLook['tables'];
      const relations = relate(target.rows, tables).toSorted(byList);
      yield jsonDump(METADATA, metadataOf(target, { ...look, tables }, relations));
      for (const relation of relations) yield listDump(relation);
      tool.stdin.end('COMMIT;\n');
      for await (const lines of printed()) if (lines.length > 0) throw cutOff();
      yield jsonDump(TOTALS, totals);
    } finally {
      tool.stdin.end();
      tool.stdout.destroy();
    }

    function listDump(relation: Relation): Dump {
      const { table, columns } = relation;
      return {
        name: listName(table.name),
        async *bytes() {
          const writer = createRowWriter(columns);
          tool.stdin.write(copyStatement(relation, target.rows.tenant) + END_OF_PART);
          for await (const lines of printed()) yield* writer.take(lines);
          totals.tables[table.name] = writer.rows;
          totals.records += writer.rows;
        },
      };
    }
  }
  return {
    dumps: dumps(),
    bytes: 0,
    facts: () => ({
      ...{ method: 'psql_copy', serverVersion: look.version, databases: [target.database] },
      ...{ tables: target.rows.tables.length, records: totals.records, tenant: target.rows.tenant },
    }),
  };
}

function byList(a: Relation, b: Relation): number {
  return Buffer.compare(Buffer.from(`${listName(a.table.name)}.`), Buffer.from(`${listName(b.table.name)}.`));
}

/** Everything is read in the snapshot of its first query; the tables cannot be altered meanwhile. */
function beginning({ rows: { tables } }: RowsTarget): string {
  return `${SESSION_SETTINGS}SET search_path = pg_catalog;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
LOCK TABLE ${tables.map(pgTable).join(', ')} IN ACCESS SHARE MODE;
SELECT ${tablesExpression(tables)}::text;
${END_OF_PART}`;
}

/** The rows of a tenant, all that is not computed of them. */
export function copyStatement(relation: Relation, tenant: string): string {
  const columns = relation.columns.map(({ name }) => `t.${pgName(name)}`).join(', ');
  return `COPY (SELECT ${columns} FROM ${pgTable(relation.look)} AS t WHERE ${ownRows(relation, tenant, 't')}) TO STDOUT;\n`;
}

function metadataOf(target: RowsTarget, look: RowsLook, relations: readonly Relation[]): Metadata {
  const { project, tenant } = target.rows;
  const schemas = relations.map((relation) => relation.look);
  return {
    ...{ v: 1, type: 'rows', backup_version: VERSIONS.backup_version },
    metadata: {
      project_id: project?.id ?? null,
      project_name: project?.name ?? null,
      created_at: new Date().toISOString(),
      backup_type: project?.automatic ? 'automatic' : 'manual',
      cloudbox_version: VERSIONS.cloudbox_version,
    },
    ...{ database: target.database, server_version: look.version, tenant },
    fingerprint: createHash('sha256').update(JSON.stringify(schemas)).digest('hex'),
    tables: relations.map(({ table, columns, look: schema }) => ({
      list: listName(table.name),
      settings: table,
      columns: columns.map(({ name, type }) => ({ name, type })),
      schema,
    })),
  };
}

function jsonDump(name: string, content: object): Dump {
  return {
    name,
    async *bytes() {
      yield Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
    },
  };
}

/**
 * What psql prints, in parts: each call gives the lines up to the next mark, the last one those after all marks. A part
 * without its end is the tool's error.
 */
function printedParts(tool: RunningTool): () => AsyncGenerator<Buffer> {
  const batches = linesOf(toolOutput(tool));
  let waiting: Buffer = Buffer.alloc(0);
  let isOver = false;
  return async function* part() {
    for (;;) {
      const end = markIn(waiting);
      const lines = end === -1 ? waiting : waiting.subarray(0, end);
      waiting = end === -1 ? Buffer.alloc(0) : waiting.subarray(end + MARK.length + 1);
      if (lines.length > 0) yield lines;
      if (end !== -1) return;
      const next = isOver ? { done: true as const, value: undefined } : await batches.next();
      if (next.done) {
        // Only what comes after the transaction's end may end without a mark.
        if (isOver || !tool.stdin.writableEnded) throw cutOff();
        isOver = true;
        return;
      }
      waiting = next.value;
    }
  };
}

/** Where the first line that is a mark begins; -1 when there is none. */
function markIn(lines: Buffer): number {
  const mark = `${MARK}\n`;
  if (lines.toString('latin1', 0, mark.length) === mark) return 0;
  const before = lines.indexOf(`${String.fromCharCode(NEWLINE)}${mark}`);
  return before === -1 ? -1 : before + 1;
}

async function onlyLine(part: AsyncGenerator<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const lines of part) pieces.push(lines);
  return Buffer.concat(pieces).toString('utf8').trim();
}

function cutOff(): AppError {
  return new AppError('COMMAND_FAILED', 'psql ended in the middle of the rows, though it said nothing.');
}
