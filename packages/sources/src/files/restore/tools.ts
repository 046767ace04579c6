import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';

/** Checks that the server has what a restore stands on, and gives tar's options there. TOOL_MISSING says what to install. */
export async function findTools(session: Session, signal: AbortSignal): Promise<string[]> {
  const { find, tar } = await session.capabilities(signal);
  const script = 'mv --version 2>/dev/null | grep -q coreutils && echo coreutils; tar --help';
  const help = (await session.run(['sh', '-c', script], { signal })).stdout.toString('latin1');
  const missing = [
    ...(find === 'gnu' ? [] : ['GNU find (package findutils)']),
    ...(tar === 'gnu' ? [] : ['GNU tar (package tar)']),
    ...(help.startsWith('coreutils\n') ? [] : ['GNU coreutils (package coreutils)']),
  ];
  if (missing.length > 0) {
    throw new AppError('TOOL_MISSING', `The server lacks ${missing.join(' and ')}. Install it there.`);
  }
  const knows = (option: string): boolean => help.includes(option);
  return [
    ...['--extract', '--file=-', '--preserve-permissions', '--same-owner', '--numeric-owner'],
    ...(knows('--xattrs-include') ? ['--xattrs', '--xattrs-include=*'] : []),
    ...(knows('--acls') ? ['--acls'] : []),
    ...['--delay-directory-restore', '--quoting-style=c', '--no-wildcards', '--anchored', '--no-unquote'],
  ];
}
