import { type ArchiveRoot, encodeRootList } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';

/** How GNU tar is to be called for a capture; only with options that the server's tar knows. */
export async function tarArguments(
  session: Session,
  roots: ArchiveRoot[],
  signal: AbortSignal,
): Promise<string[]> {
  const help = (await session.run(['tar', '--help'], { signal })).stdout.toString('latin1');
  const ifKnown = (option: string): string[] => (help.includes(option) ? [option] : []);
  const pax = [
    'delete=atime',
    'delete=ctime',
    // Without tar's process number and start time, the same tree gives the same bytes (but for sparse files).
    'exthdr.name=%d/PaxHeaders/%f',
    'globexthdr.name=tarfleet/GlobalHead',
    'globexthdr.mtime=0',
    `comment=${encodeRootList(roots)}`,
  ];
  return [
    ...['tar', '--create', '--file=-', '--format=pax', `--pax-option=${pax.join(',')}`],
    // Blocks of 64 KiB, as much as a pipe holds.
    ...['--blocking-factor=128', '--numeric-owner', '--sparse', '--ignore-failed-read', '--quoting-style=c'],
    ...[...ifKnown('--xattrs'), ...ifKnown('--acls')],
    ...['--directory=/', '--no-recursion', '--null', ...ifKnown('--verbatim-files-from'), '--files-from=-'],
  ];
}

/** The tools that files need on the server. TOOL_MISSING says which to install. */
export async function assertTools(session: Session, signal: AbortSignal): Promise<void> {
  const { find, tar } = await session.capabilities(signal);
  const missing = [
    ...(find === 'gnu' ? [] : ['GNU find (package findutils)']),
    ...(tar === 'gnu' ? [] : ['GNU tar (package tar)']),
  ];
  if (missing.length === 0) return;
  throw new AppError('TOOL_MISSING', `The server lacks ${missing.join(' and ')}. Install it there.`);
}
