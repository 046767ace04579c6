import type { MysqlTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';
import { mysqlOption, mysqlText } from '../names.ts';
import { type RunningTool, runTool, startTool, type ToolCall, type ToolSecret } from '../run-tool.ts';

export interface MysqlDatabase {
  name: string;
  charset: string;
  collation: string;
  /** Of its rows, about. */
  bytes: number;
}

/** What the server itself keeps there. */
const SYSTEM = ['information_schema', 'performance_schema', 'mysql', 'sys'];

/** The programs of MySQL or MariaDB on a server, with their connection and password. */
export interface MysqlTools {
  /** How the programs are called there: `mariadb` and `mariadb-dump`, or `mysql` and `mysqldump`. */
  names: { client: string; dump: string };
  start(
    program: 'client' | 'dump',
    args: readonly string[],
    onLine?: (line: string) => void,
  ): Promise<RunningTool>;
  /** Runs statements and gives what they print: a line for each row, tabs between the columns, as the client escapes them. */
  sql(statements: string): Promise<string[][]>;
  /** Those of these names that are there; null: all but the server's own. */
  databases(names: readonly string[] | null): Promise<MysqlDatabase[]>;
  /** Has a script (see `restore-scripts.ts`) load a file of the server into a database. */
  load(database: string, file: string, script: string): Promise<void>;
  /** Has a script write a dump to a file of the server. */
  save(file: string, script: string, args: readonly string[]): Promise<void>;
}

const FIND_SCRIPT = `[ -z "$1" ] || PATH=$1
if command -v mariadb-dump >/dev/null && command -v mariadb >/dev/null; then echo mariadb; else echo mysql; fi`;

export async function mysqlTools(
  given: { session: Session; signal: AbortSignal },
  target: MysqlTarget,
  password: string | null,
): Promise<MysqlTools> {
  const { session, signal } = given;
  const found = await session.run(['sh', '-c', FIND_SCRIPT, 'sh', target.binDir ?? ''], { signal });
  const isMaria = found.stdout.toString().trim() === 'mariadb';
  const names = isMaria
    ? { client: 'mariadb', dump: 'mariadb-dump' }
    : { client: 'mysql', dump: 'mysqldump' };
  const secret: ToolSecret = {
    how: 'file',
    content: optionFile(target, password),
    password: password ?? '',
  };
  const call = (program: 'client' | 'dump', args: readonly string[]): ToolCall => ({
    ...given,
    where: target,
    package: 'mariadb-client',
    program: names[program],
    // It must come first. What the user's own files say of connections still counts for what is not named here.
    args: ['--defaults-extra-file=/dev/fd/3', ...args],
    secret,
  });
  const sql: MysqlTools['sql'] = async (statements) => {
    const printed = await runTool(
      call('client', ['--batch', '--skip-column-names', '--default-character-set=utf8mb4']),
      statements,
    );
    return printed
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t').map(unescaped));
  };
  /** A script of the shell that gets the program with its arguments. */
  const through = async (
    program: 'client' | 'dump',
    args: readonly string[],
    { file, script }: { file: string; script: string },
  ): Promise<void> => {
    const inner = call(program, args);
    const path =
      target.binDir === null ? inner.program : `${target.binDir.replace(/\/+$/, '')}/${inner.program}`;
    await runTool({
      ...inner,
      ...{ where: { ...target, binDir: null }, program: 'sh', called: inner.program },
      args: ['-c', script, 'sh', file, path, ...inner.args],
    });
  };
  return {
    ...{ names, sql },
    start: (program, args, onLine) => startTool({ ...call(program, args), ...(onLine ? { onLine } : {}) }),
    async databases(wanted) {
      const list = (some: readonly string[]): string => some.map(mysqlText).join(', ');
      const which = wanted === null ? `NOT IN (${list(SYSTEM)})` : `IN (${list(wanted)})`;
      const rows = await sql(
        `SELECT s.SCHEMA_NAME, s.DEFAULT_CHARACTER_SET_NAME, s.DEFAULT_COLLATION_NAME,
          (SELECT COALESCE(SUM(t.DATA_LENGTH), 0) FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = s.SCHEMA_NAME)
        FROM information_schema.SCHEMATA s WHERE s.SCHEMA_NAME ${which} ORDER BY s.SCHEMA_NAME;\n`,
      );
      return rows.map(([name = '', charset = '', collation = '', bytes = '0']) => {
        return { name, charset, collation, bytes: Number(bytes) };
      });
    },
    load: (database, file, script) =>
      through('client', [...LOAD_OPTIONS, `--database=${database}`], { file, script }),
    save: (file, script, args) => through('dump', args, { file, script }),
  };
}

const LOAD_OPTIONS = ['--batch', '--default-character-set=utf8mb4', '--max-allowed-packet=1G'];

/** All of the connection: so nothing that users chose is an argument. */
function optionFile({ host, port, user }: MysqlTarget, password: string | null): string {
  const isSocket = host?.startsWith('/') ?? false;
  const lines = [
    ...(host === null ? [] : [`${isSocket ? 'socket' : 'host'}=${mysqlOption(host)}`]),
    // A host that is an address is meant: `localhost` would be the socket.
    ...(host === null || isSocket ? [] : ['protocol=tcp']),
    ...(port === null ? [] : [`port=${port}`]),
    ...(user === null ? [] : [`user=${mysqlOption(user)}`]),
    ...(password === null ? [] : [`password=${mysqlOption(password)}`]),
  ];
  return `[client]\n${lines.join('\n')}\n`;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', '0': '\0', '\\': '\\' };

function unescaped(field: string): string {
  return field.replace(/\\(.)/g, (all, char: string) => ESCAPES[char] ?? all);
}
