import { AppError } from '@tarfleet/kernel';
import type { Argv } from './shell-command.ts';
import type { Capabilities, ExecOptions, RunResult } from './types.ts';

const TOOLS = ['tar', 'find', 'bsdtar', 'busybox', 'sudo', 'sha256sum', 'setsid', 'gzip'];

/**
 * One `name=first line of its version` for each tool that is there. Plain shell: a minimal system has no head.
 * busybox and BSD tools know no `--version`, but their complaint names them, on some line.
 */
const SCRIPT = `
nl='
'
printf 'uid=%s\\nuser=%s\\n' "$(id -u)" "$(id -un)"
for tool in "$@"; do
  command -v "$tool" >/dev/null 2>&1 || continue
  flag=--version
  [ "$tool" = busybox ] && flag=--help
  text=$("$tool" "$flag" 2>&1 </dev/null)
  case \${text%%"$nl"*} in
    *usy[Bb]ox*) ;;
    *) case $text in *BusyBox*) text=BusyBox\${text#*BusyBox} ;; esac ;;
  esac
  printf '%s=%s\\n' "$tool" "\${text%%"$nl"*}"
done
exit 0
`;

/** Finds out in one command what a server has. Throws COMMAND_FAILED when it cannot even say who the user is. */
export async function probe(
  run: (argv: Argv, options: ExecOptions) => Promise<RunResult>,
  signal: AbortSignal,
): Promise<Capabilities> {
  let result: RunResult;
  try {
    result = await run(['/bin/sh', '-c', SCRIPT, 'sh', ...TOOLS], { signal });
  } catch (error) {
    const user = userWithoutShell(error);
    if (user === null) throw error;
    const tools = Object.fromEntries(TOOLS.map((tool) => [tool, null]));
    return { user, uid: -1, shell: false, tools, tar: null, find: null };
  }
  const found = new Map<string, string>();
  for (const line of result.stdout.toString('utf8').split('\n')) {
    const at = line.indexOf('=');
    if (at > 0)
      found.set(
        line.slice(0, at),
        line
          .slice(at + 1)
          .trim()
          .slice(0, 200),
      );
  }
  const uid = Number(found.get('uid') || Number.NaN);
  if (!Number.isInteger(uid)) {
    throw new AppError(
      'COMMAND_FAILED',
      'The server does not tell who the user is: its `id` command failed.',
    );
  }
  const tools = Object.fromEntries(TOOLS.map((tool) => [tool, found.get(tool) ?? null]));
  return {
    user: found.get('user') ?? String(uid),
    uid,
    shell: true,
    tools,
    tar: tarKind(found.get('tar')),
    find: findKind(found.get('find')),
  };
}

/** How a session says that there is nothing but SFTP; `details.sftpOnly` is who logged in. */
export function sftpOnlyError(label: string, user: string): AppError {
  return new AppError(
    'TOOL_MISSING',
    `${label} lets ${user} use SFTP alone. Files can be backed up from there; anything else needs a user who may run commands.`,
    { details: { sftpOnly: user } },
  );
}

function userWithoutShell(error: unknown): string | null {
  if (!(error instanceof AppError)) return null;
  const { sftpOnly } = (error.details ?? {}) as { sftpOnly?: unknown };
  return typeof sftpOnly === 'string' ? sftpOnly : null;
}

function tarKind(version: string | undefined): Capabilities['tar'] {
  if (version === undefined) return null;
  if (/GNU tar/.test(version)) return 'gnu';
  if (/bsdtar|libarchive/.test(version)) return 'bsd';
  return /busybox/i.test(version) ? 'busybox' : 'other';
}

function findKind(version: string | undefined): Capabilities['find'] {
  if (version === undefined) return null;
  if (/GNU findutils/.test(version)) return 'gnu';
  return /busybox/i.test(version) ? 'busybox' : 'other';
}
