import type { MysqlTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { SourceWarning } from '../../types.ts';
import { aboutDump } from '../about.ts';
import type { DatabaseCapture } from '../database-capture.ts';
import type { Dump } from '../dump-tar.ts';
import { byDumpName, dumpName, mysqlText } from '../names.ts';
import { toolOutput } from '../run-tool.ts';
import { createSqlDumpCounter } from './count-dump.ts';
import type { MysqlDatabase, MysqlTools } from './tools.ts';

export type { MysqlDatabase };

export const DUMP_ENDING = '.sql';

/** Each database by mysqldump or mariadb-dump, as it was at one moment. */
export async function captureMysql(
  tools: MysqlTools,
  target: MysqlTarget,
  warn: (warning: SourceWarning) => void,
): Promise<DatabaseCapture> {
  const look = await lookAtMysql(tools, target);
  await warnOfOthers(tools, look.databases, warn);
  const counted = { tables: 0, records: 0 };
  const tell = (line: string): void => {
    if (line.trim() !== '') warn({ code: 'DUMP_WARNING', message: line.slice(0, 500) });
  };

  const database = (name: string): Dump => ({
    name: dumpName(name, DUMP_ENDING),
    async *bytes() {
      const counter = createSqlDumpCounter();
      const tool = await tools.start('dump', dumpArguments(target, name), tell);
      tool.stdin.end();
      for await (const chunk of toolOutput(tool)) {
        counter.see(chunk);
        yield chunk;
      }
      const { tables, records, whole } = counter.counts();
      if (!whole) {
        throw new AppError(
          'COMMAND_FAILED',
          `The dump of ${name} has no end, though ${tools.names.dump} said nothing.`,
        );
      }
      counted.tables += tables;
      counted.records += records;
    },
  });

  async function* dumps(): AsyncGenerator<Dump> {
    yield aboutDump({ v: 1, type: 'mysql', ...look });
    for (const { name } of look.databases.toSorted(byDumpName(DUMP_ENDING))) yield database(name);
  }
  return {
    dumps: dumps(),
    bytes: look.databases.reduce((sum, { bytes }) => sum + bytes, 0),
    facts: () => ({
      method: tools.names.dump === 'mariadb-dump' ? 'mariadb-dump' : 'mysqldump',
      serverVersion: look.version,
      databases: look.databases.map(({ name }) => name),
      ...counted,
    }),
  };
}

/**
 * One transaction that sees one moment, row by row rather than a table in memory at a time; what is binary as hexadecimal
 * digits; as a plain client could load it.
 */
const OPTIONS = [
  ...['--single-transaction', '--quick', '--routines', '--triggers', '--events', '--hex-blob'],
  ...['--default-character-set=utf8mb4', '--dump-date', '--comments', '--max-allowed-packet=1G'],
];

/** The names come last, behind the end of the options. */
function dumpArguments({ schemaOnly, includeTables, excludeTables }: MysqlTarget, name: string): string[] {
  const own = includeTables.filter((table) => table.startsWith(`${name}.`));
  return [
    ...OPTIONS,
    ...(schemaOnly ? ['--no-data'] : []),
    ...excludeTables.map((table) => `--ignore-table=${table}`),
    ...['--', name],
    ...own.map((table) => table.slice(name.length + 1)),
  ];
}

/** All of a database. */
export function wholeDumpArguments(name: string): string[] {
  return [...OPTIONS, '--', name];
}

async function lookAtMysql(
  tools: MysqlTools,
  target: MysqlTarget,
): Promise<{ version: string; databases: MysqlDatabase[] }> {
  const [[version = ''] = []] = await tools.sql('SELECT VERSION();\n');
  const databases = await tools.databases(target.databases);
  const missing = (target.databases ?? []).filter((name) => !databases.some((one) => one.name === name));
  if (missing.length > 0) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `There is no database ${missing.join(', ')} on the server, or its user may not see it. Correct the service's list of databases.`,
    );
  }
  return { version, databases };
}

/** Tables of other engines are not part of the transaction: they may change while they are read. */
async function warnOfOthers(
  tools: MysqlTools,
  databases: readonly MysqlDatabase[],
  warn: (warning: SourceWarning) => void,
): Promise<void> {
  if (databases.length === 0) return;
  const names = databases.map(({ name }) => mysqlText(name)).join(', ');
  const rows = await tools.sql(
    `SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), ENGINE FROM information_schema.TABLES
    WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN (${names}) AND ENGINE NOT IN ('InnoDB', 'SEQUENCE');\n`,
  );
  for (const [table, engine] of rows) {
    warn({
      code: 'TABLE_NOT_TRANSACTIONAL',
      message: `${table} is of the engine ${engine}, which knows no transactions: what the backup holds of it may be of several moments.`,
    });
  }
}
