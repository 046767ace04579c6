import type { PostgresTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { SourceWarning } from '../../types.ts';
import { aboutDump } from '../about.ts';
import type { DatabaseCapture } from '../database-capture.ts';
import type { Dump } from '../dump-tar.ts';
import { byDumpName, dumpName, pgConnection } from '../names.ts';
import { toolOutput } from '../run-tool.ts';
import { createDumpCounter } from './count-dump.ts';
import { lookAtPostgres, type PostgresLook } from './look.ts';
import { homeOf, type PostgresTools } from './tools.ts';

/** How long pg_dump waits for a table that somebody else has locked. */
const LOCK_WAIT = '10min';
/** A cluster's, so by its name before the databases. */
export const ROLES = 'cluster-roles.sql';
export const DUMP_ENDING = '.dump';

/** Each database by pg_dump, and the roles by pg_dumpall. */
export async function capturePostgres(
  tools: PostgresTools,
  target: PostgresTarget,
  warn: (warning: SourceWarning) => void,
): Promise<DatabaseCapture> {
  const look = await lookAtPostgres(tools, target);
  const counted = { tables: 0, records: 0, known: true };
  const tell = (line: string): void => {
    if (line.trim() !== '') warn({ code: 'DUMP_WARNING', message: line.slice(0, 500) });
  };

  const database = (name: string): Dump => ({
    name: dumpName(name, DUMP_ENDING),
    async *bytes() {
      const counter = createDumpCounter();
      const tool = await tools.start(
        'pg_dump',
        [...dumpArguments(target), `--dbname=${pgConnection(name)}`],
        tell,
      );
      tool.stdin.end();
      for await (const chunk of toolOutput(tool)) {
        counter.see(chunk);
        yield chunk;
      }
      const counts = counter.counts();
      if (counts?.whole === false) {
        throw new AppError(
          'COMMAND_FAILED',
          `The dump of ${name} ended in its middle, though pg_dump said nothing.`,
        );
      }
      counted.tables += counts?.tables ?? 0;
      counted.records += counts?.records ?? 0;
      counted.known &&= counts !== null;
    },
  });

  async function* dumps(): AsyncGenerator<Dump> {
    yield aboutDump({ v: 1, type: 'postgres', version: look.version, databases: look.databases });
    if (target.roles) yield rolesDump(tools, target, look, { warn, tell });
    for (const { name } of look.databases.toSorted(byDumpName(DUMP_ENDING))) yield database(name);
  }
  return {
    dumps: dumps(),
    bytes: look.databases.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
    facts: () => ({
      method: 'pg_dump',
      serverVersion: look.version,
      databases: look.databases.map(({ name }) => name),
      tables: counted.known ? counted.tables : null,
      records: counted.known ? counted.records : null,
    }),
  };
}

function dumpArguments({ schemaOnly, includeTables, excludeTables }: PostgresTarget): string[] {
  return [
    ...['--format=custom', '--compress=0', `--lock-wait-timeout=${LOCK_WAIT}`],
    ...(schemaOnly ? ['--schema-only'] : []),
    ...includeTables.map((pattern) => `--table=${pattern}`),
    ...excludeTables.map((pattern) => `--exclude-table=${pattern}`),
  ];
}

/** Only a superuser may read the roles' passwords. */
function rolesDump(
  tools: PostgresTools,
  target: PostgresTarget,
  { isSuperuser }: PostgresLook,
  { warn, tell }: { warn: (warning: SourceWarning) => void; tell: (line: string) => void },
): Dump {
  return {
    name: ROLES,
    async *bytes() {
      if (!isSuperuser) {
        warn({
          code: 'ROLE_PASSWORDS_LEFT_OUT',
          message:
            'The roles are backed up without their passwords: only a superuser of the database may read them.',
        });
      }
      const without = isSuperuser ? [] : ['--no-role-passwords'];
      const args = ['--roles-only', ...without, `--database=${homeOf(target)}`];
      const tool = await tools.start('pg_dumpall', args, tell);
      tool.stdin.end();
      yield* toolOutput(tool);
    },
  };
}
