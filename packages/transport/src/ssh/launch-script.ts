import { randomBytes } from 'node:crypto';
import { type Argv, commandLine, shellCommand } from '../shell-command.ts';

export interface LaunchScript {
  /** For the login shell. */
  line: string;
  /** Printed on stderr before the process group id and a newline, as the last thing before the command. */
  marker: Buffer;
  /** The line on stdout after which the command's own output begins. */
  outputMark: Buffer;
  /** sudo's prompt for the password. */
  prompt: Buffer;
  /** Printed on stderr when there is no sudo. */
  noSudo: Buffer;
}

export type Become = { password: string | null } | null;

/**
 * Announces the process group on stderr and the start of output on stdout: whatever a login shell or sudo says
 * before is not the command's. sshd makes each command a group leader, but sudo may run it in a group of its
 * own (`use_pty`), so the group is read from the kernel; `ps` serves where there is no /proc.
 */
function announce(first: string, second: string): string {
  return [
    `tf_g=; { IFS= read -r tf_g </proc/$$/stat; } 2>/dev/null && { tf_g=\${tf_g##*) }; tf_g=\${tf_g#* }; tf_g=\${tf_g#* }; tf_g=\${tf_g%% *}; }`,
    `[ -n "$tf_g" ] || tf_g=$(ps -o pgid= -p $$ 2>/dev/null) || tf_g=$$`,
    // When nobody listens any more, the command must not start.
    `printf '%s%s\\n' ${first} ${second} || exit 141`,
    `printf '%s%s %d\\n' ${first} ${second} "$tf_g" >&2 || exit 141`,
  ].join('\n');
}

const SUDO = `command -v sudo >/dev/null 2>&1 || { printf '%s%s\\n' "$1" "$2" >&2; exit 127; }; p=$3$4; shift 4;`;
const ASK = `${SUDO} exec sudo -S -p "$p" -- "$@"`;
const DO_NOT_ASK = `${SUDO} exec sudo -n -- "$@"`;

/**
 * What sshd is asked to run. Marks are random and appear in two halves, so that a shell that echoes its input
 * (`set -x`) cannot be taken for one: a password is sent only to sudo's own prompt.
 */
export function launchScript(argv: Argv, env: Record<string, string>, become: Become): LaunchScript {
  const half = (): string => randomBytes(8).toString('hex');
  const [m1, m2, p1, p2, n1, n2] = [half(), half(), half(), half(), half(), half()];
  const inner = shellCommand(argv, { env, prologue: announce(m1, m2) });
  const asked = become !== null && become.password !== null;
  const words =
    become === null
      ? inner
      : shellCommand(['/bin/sh', '-c', asked ? ASK : DO_NOT_ASK, 'sh', n1, n2, p1, p2, ...inner]);
  const line = commandLine(words);
  return {
    line,
    marker: Buffer.from(m1 + m2),
    outputMark: Buffer.from(`${m1 + m2}\n`),
    prompt: Buffer.from(p1 + p2),
    noSudo: Buffer.from(n1 + n2),
  };
}
