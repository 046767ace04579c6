import type { PostgresTarget, RowsTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { pgConnection, pgPassLine } from '../names.ts';
import { type RunningTool, runTool, startTool, type ToolCall } from '../run-tool.ts';

/** Postgres' own programs on a server, with their connection and password. */
export interface PostgresTools {
  start(program: string, args: readonly string[], onLine?: (line: string) => void): Promise<RunningTool>;
  /** The line with which a program tells its version. */
  version(program: string): Promise<string>;
  /** psql with statements on its input, for one session; `around` as a tool's. */
  psql(database: string, around?: readonly string[]): Promise<RunningTool>;
  /** Runs statements in a database, all in one session, and gives what they print. */
  sql(database: string, statements: string): Promise<string>;
  /** The same with one statement that gives one JSON value. */
  json<T>(database: string, statement: string): Promise<T>;
}

export function postgresTools(
  given: { session: Session; signal: AbortSignal },
  target: PostgresTarget | RowsTarget,
  password: string | null,
): PostgresTools {
  const { host, port, user } = target;
  const connection = [
    '--no-password',
    ...(host === null ? [] : [`--host=${host}`]),
    ...(port === null ? [] : [`--port=${port}`]),
    ...(user === null ? [] : [`--username=${user}`]),
  ];
  const call = (program: string, args: readonly string[]): ToolCall => ({
    ...given,
    where: target,
    package: 'postgresql-client',
    program,
    args: [...connection, ...args],
    secret: password === null ? null : { how: 'file:PGPASSFILE', content: pgPassLine(password), password },
  });
  const psql = (database: string): ToolCall =>
    call('psql', [
      ...['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1', '--file=-'],
      `--dbname=${pgConnection(database)}`,
    ]);
  const sql = (database: string, statements: string): Promise<string> => runTool(psql(database), statements);
  return {
    sql,
    psql: (database, around) => startTool({ ...psql(database), ...(around ? { around } : {}) }),
    version: (program) => runTool({ ...call(program, []), args: ['--version'], secret: null }),
    start: (program, args, onLine) => startTool({ ...call(program, args), ...(onLine ? { onLine } : {}) }),
    async json(database, statement) {
      const printed = await sql(database, `${statement};\n`);
      try {
        return JSON.parse(printed);
      } catch (cause) {
        throw new AppError('COMMAND_FAILED', 'psql printed something else than was asked for.', { cause });
      }
    },
  };
}

/** The database that statements about others are run in. */
export function homeOf({ databases }: PostgresTarget): string {
  return databases?.[0] ?? 'postgres';
}
