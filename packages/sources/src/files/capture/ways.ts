import type { Readable } from 'node:stream';
import type { ArchiveRoot } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { RemoteFiles, Session } from '@tarfleet/transport';
import type { LargeFileLook } from '../copies/large-files.ts';
import { lookOnServer } from '../copies/look-on-server.ts';
import { buildTar } from '../foreign/build-tar.ts';
import { catEntries } from '../foreign/cat-read.ts';
import { lookAgain } from '../foreign/look-again.ts';
import { bsdtarArguments, readBsdtar } from '../foreign/read-bsdtar.ts';
import { sftpEntries } from '../foreign/sftp-read.ts';
import { resolveSftpRoots } from '../foreign/sftp-roots.ts';
import { scanSftp } from '../foreign/sftp-scan.ts';
import { scanWithStat } from '../foreign/stat-scan.ts';
import type { Lists } from './lists.ts';
import { createPathSorter, type PathSorter } from './path-sorter.ts';
import { type ReadTarOptions, readTar } from './read-tar.ts';
import { resolveRoots } from './resolve-roots.ts';
import { type ScanOptions, scan } from './scan.ts';
import { type TarHelp, tarArguments } from './tar-options.ts';

export interface ReadOptions extends Omit<ReadTarOptions, 'process' | 'spill'> {
  roots: ArchiveRoot[];
  lists: Lists;
}

/** How the files of one server are listed and read, with what it has. */
export interface Way {
  resolveRoots: typeof resolveRoots;
  /** Gives the server's time right before, in seconds. */
  scan(options: ScanOptions, sorter: PathSorter): Promise<number>;
  /** The tar stream of the names in `lists.names`. */
  read(options: ReadOptions, scanOptions: ScanOptions): Promise<Readable>;
  /** How large files are looked at before they are read; null where that cannot be done. */
  look(options: ScanOptions): Promise<LargeFileLook | null>;
  /** Safe to call twice, and while it reads: then that fails. */
  close(): Promise<void>;
}

export interface WayDeps {
  tmpDir: string;
  tarHelp: TarHelp;
}

/** The best way that the server allows. TOOL_MISSING says which tools to install. */
export async function chooseWay(deps: WayDeps, session: Session, signal: AbortSignal): Promise<Way> {
  const { find, tar, tools, shell } = await session.capabilities(signal);
  if (!shell) return sftpWay(await session.sftp(signal));
  const bsdtar = tar === 'bsd' ? 'tar' : tools.bsdtar ? 'bsdtar' : null;
  const bare = find === 'busybox';
  if ((find !== 'gnu' && !bare) || (tar !== 'gnu' && !bsdtar && !bare)) {
    const missing = [
      ...(find === 'gnu' ? [] : ['GNU find (package findutils)']),
      ...(tar === 'gnu' ? [] : ['GNU tar (package tar)']),
    ];
    throw new AppError(
      'TOOL_MISSING',
      `The server lacks ${missing.join(' and ')}, and has no busybox in their place. Install it there.`,
    );
  }
  const list: Way['scan'] = bare ? (...given) => scanWithStat(deps.tmpDir, ...given) : scan;
  let how: Pick<Way, 'read' | 'look'>;
  if (tar === 'gnu') how = gnuTar(deps, session);
  else if (bsdtar) how = bsdTar(deps, session, bsdtar, list);
  else how = withCat(session);
  return { resolveRoots, scan: list, ...how, close: async () => undefined };
}

function gnuTar({ tarHelp }: WayDeps, session: Session): Pick<Way, 'read' | 'look'> {
  return {
    async read({ roots, lists, ...options }) {
      const command = await tarArguments(tarHelp, session, roots, options.signal);
      const process = await session.exec(command, { signal: options.signal });
      return readTar({ ...options, process, spill: lists.names });
    },
    look: async ({ roots, signal }) =>
      lookOnServer(session, signal, await tarArguments(tarHelp, session, roots, signal)),
  };
}

function bsdTar(
  { tmpDir }: WayDeps,
  session: Session,
  program: string,
  list: Way['scan'],
): Pick<Way, 'read' | 'look'> {
  const read: Way['read'] = async ({ lists, ...options }, scanOptions) => {
    const command = await bsdtarArguments(session, program, options.signal);
    const process = await session.exec(command, { signal: options.signal });
    return readBsdtar({
      ...options,
      ...{ process, spill: lists.names },
      async lookAgain() {
        if (lists.names.records() === 0) return 0;
        const after = createPathSorter({ dir: tmpDir });
        try {
          await list({ ...scanOptions, warn: () => undefined }, after);
          return await lookAgain(lists, after, options.warn);
        } finally {
          await after.close();
        }
      },
    });
  };
  return {
    read,
    look: async ({ signal }) =>
      lookOnServer(session, signal, await bsdtarArguments(session, program, signal)),
  };
}

function withCat(session: Session): Pick<Way, 'read' | 'look'> {
  return {
    read: async ({ lists, ...options }) =>
      buildTar({
        ...options,
        ...{ names: lists.names, decided: lists.decided },
        entries: (wanted, leaveOut) => catEntries(session, options.signal, wanted, leaveOut, options.warn),
      }),
    look: ({ signal }) => lookOnServer(session, signal, null),
  };
}

/** With nothing but SFTP: entries are built from what it tells. */
function sftpWay(files: RemoteFiles): Way {
  return {
    resolveRoots: (_session, service, _signal, warn) => resolveSftpRoots(files, service, warn),
    scan: (options, sorter) => scanSftp(files, options, sorter),
    look: async () => null,
    async read({ lists, ...options }) {
      return buildTar({
        ...options,
        ...{ names: lists.names, decided: lists.decided },
        entries: (wanted, leaveOut) => sftpEntries(files, wanted, leaveOut, options.warn),
      });
    },
    close: () => files.close(),
  };
}
