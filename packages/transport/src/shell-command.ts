/** The one place where argument vectors become text that a shell reads. */
import { AppError } from '@tarfleet/kernel';

export type Argv = readonly (string | Buffer)[];

/** The same bytes in every encoding, and the same characters in every locale. */
const PLAIN = /^[\n\x20-\x7e]*$/;

/** A script as one character per byte, so that bytes that are no text survive. */
type ByteText = string;

export interface ScriptOptions {
  env?: Record<string, string>;
  /** Shell text that runs before the command, after the environment is set. */
  prologue?: string;
  /** Nothing but `/bin/sh` itself reads the script: plain text then needs no armour, which costs a process. */
  direct?: boolean;
}

/** Linux takes no single argument over 128 KiB, and a remote command is one argument of the login shell. */
const MAX_COMMAND_BYTES = 120 * 1024;
/** What stands for itself inside double quotes inside single quotes, in every common shell, csh and fish included. */
const UNSAFE = /[^A-Za-z0-9 _.,:;=@%+/{}()<>|&#*?[\]~^-]/g;

/**
 * The words `/bin/sh -c <text>` that run `argv` byte for byte, with LC_ALL=C, in the root folder. The command
 * takes the shell's place (`exec`), so its process id, exit code and signals are the command's own. A missing
 * program exits with 127, one that may not be run with 126, as in any POSIX shell.
 */
export function shellCommand(argv: Argv, options: ScriptOptions = {}): ['/bin/sh', '-c', string] {
  const program = argv[0];
  if (program === undefined || program.length === 0 || program[0] === '-') {
    throw new AppError('COMMAND_FAILED', 'A command needs the name of a program first.');
  }
  const lines = ['cd /'];
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new AppError(
        'COMMAND_FAILED',
        `${JSON.stringify(name)} cannot be the name of an environment variable.`,
      );
    }
    lines.push(`export ${name}=${quote(value)}`);
  }
  if (options.prologue) lines.push(options.prologue);
  // Last, so that nothing in `env` can undo it.
  lines.push('export LC_ALL=C', `exec ${argv.map(quote).join(' ')}`);
  const script = lines.join('\n');
  return ['/bin/sh', '-c', options.direct && PLAIN.test(script) ? script : armour(script)];
}

/** The same as a single line for the login shell behind sshd, whichever shell that is. */
export function commandLine(words: readonly ['/bin/sh', '-c', string]): string {
  const line = `exec ${words[0]} ${words[1]} '${words[2]}'`;
  if (line.length > MAX_COMMAND_BYTES) {
    throw new AppError(
      'COMMAND_FAILED',
      `The command line would take ${line.length} bytes, over the limit of ${MAX_COMMAND_BYTES}; pass long lists on standard input.`,
    );
  }
  return line;
}

/** One argument in single quotes. Throws COMMAND_FAILED for a NUL byte, which no argument can hold. */
export function quote(argument: string | Buffer): ByteText {
  const bytes = typeof argument === 'string' ? Buffer.from(argument, 'utf8') : argument;
  if (bytes.includes(0)) {
    throw new AppError(
      'COMMAND_FAILED',
      'A command argument holds a NUL byte, which no program can receive.',
    );
  }
  return `'${bytes.toString('latin1').replaceAll("'", "'\\''")}'`;
}

/**
 * Any script as plain ASCII on one line, free of quotes, newlines and `!`: bytes outside a safe set travel as
 * octal escapes of `printf %b` (POSIX: `\0ddd`). ssh libraries send commands as UTF-8 text, csh cannot quote a
 * newline, fish has its own escapes: none of that can touch this form. The locale is set first, since a shell
 * in a multibyte locale may misread bytes, and traces (`set -x`, inherited through SHELLOPTS) are turned off.
 */
function armour(script: ByteText): string {
  const octal = (char: string): string => `\\0${char.charCodeAt(0).toString(8).padStart(3, '0')}`;
  return `set +xv; LC_ALL=C; export LC_ALL; eval "$(printf %b "${script.replace(UNSAFE, octal)}")"`;
}
