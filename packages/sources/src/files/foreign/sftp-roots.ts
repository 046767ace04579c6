import type { ArchiveRoot } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { type RemoteFacts, type RemoteFiles, SftpStatus } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { type FoundPath, rootPaths, rootsOf } from '../capture/resolve-roots.ts';

/** As `resolveRoots`, over SFTP. */
export async function resolveSftpRoots(
  files: RemoteFiles,
  service: ServiceTarget,
  warn: (warning: SourceWarning) => void,
): Promise<ArchiveRoot[]> {
  const paths = rootPaths(service).map((path) => Buffer.from(path));
  if (paths.length === 0) return [];
  return rootsOf(service, await Promise.all(paths.map((path) => look(files, path))), warn);
}

async function look(files: RemoteFiles, path: Buffer): Promise<FoundPath> {
  const none = Buffer.alloc(0);
  const facts = await orNull(files.lstat(path));
  if (facts === null) return { kind: 'm', path, real: none };
  if (facts.type !== 'l') return { kind: kindOf(facts), path, real: none };
  const target = await orNull(files.stat(path));
  const real = target && (await orNull(files.realpath(path)));
  return { kind: `l${target ? kindOf(target) : 'o'}`, path, real: real ?? none };
}

function kindOf(facts: RemoteFacts): string {
  return facts.type === 'd' ? 'd' : 'o';
}

/** Null for what the server refuses to show. */
export async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof SftpStatus) return null;
    throw error;
  }
}
