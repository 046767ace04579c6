import { type ArchiveRoot, encodeRootList } from '@tarfleet/archive';
import type { Capabilities, Session } from '@tarfleet/transport';

/** What `tar --help` said, for as long as the transport holds what it found on that server to be true. */
export type TarHelp = WeakMap<Capabilities, string>;

async function readHelp(known: TarHelp, session: Session, signal: AbortSignal): Promise<string> {
  const capabilities = await session.capabilities(signal);
  const before = known.get(capabilities);
  if (before !== undefined) return before;
  const { code, stdout } = await session.run(['tar', '--help'], { signal });
  const help = stdout.toString('latin1');
  if (code === 0) known.set(capabilities, help);
  return help;
}

/** How GNU tar is to be called for a capture; only with options that the server's tar knows. */
export async function tarArguments(
  known: TarHelp,
  session: Session,
  roots: ArchiveRoot[],
  signal: AbortSignal,
): Promise<string[]> {
  const help = await readHelp(known, session, signal);
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
