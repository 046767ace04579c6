import type { MysqlTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';
import { mysqlOption } from '../names.ts';
import { type RunningTool, runTool, startTool, type ToolCall, type ToolSecret } from '../run-tool.ts';

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
  return {
    names,
    start: (program, args, onLine) => startTool({ ...call(program, args), ...(onLine ? { onLine } : {}) }),
    async sql(statements) {
      const printed = await runTool(
        call('client', ['--batch', '--skip-column-names', '--default-character-set=utf8mb4']),
        statements,
      );
      return printed
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split('\t').map(unescaped));
    },
  };
}

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
