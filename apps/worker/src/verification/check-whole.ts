import { pipeline } from 'node:stream';
import { createMemberReader, createTarWalker, type TarEntry } from '@tarfleet/archive';
import { errnoOf } from '@tarfleet/kernel';
import type { ManifestArtifact } from '../archives/artifact-reader.ts';
import { type Finding, fail, isDamage, mark, pass } from './finding.ts';
import type { StoredPass } from './stored-pass.ts';
import type { Verification } from './verification.ts';

/** An archive without an index, as older versions made them: read from the beginning to the end, and counted. */
export async function checkWhole(
  v: Verification,
  artifact: ManifestArtifact,
  own: StoredPass,
  finding: Finding,
): Promise<void> {
  const counts = { files: 0, directories: 0, otherEntries: 0, contentBytes: 0, tarBytes: 0 };
  const { service } = finding;
  Object.assign(service, { filesVerified: 0, missingFiles: 0, corruptedFiles: 0 });
  const walker = createTarWalker({
    onEntry: () => undefined,
    onEnd(entry) {
      count(counts, entry);
      service.filesVerified = counts.files;
    },
  });
  try {
    // A fault of any of them destroys the last one with it.
    pipeline(piecesOf(own, v.signal), createMemberReader(v.signal), walker, () => undefined);
    for await (const chunk of walker as AsyncIterable<Buffer>) {
      counts.tarBytes += chunk.length;
      v.tally.read(chunk.length, own.expected.key);
    }
  } catch (error) {
    v.signal.throwIfAborted();
    if (!isDamage(error)) throw error;
    service.corruptedFiles = 1;
    if (errnoOf(error.cause)?.startsWith('Z_')) mark(finding, 'compression');
    fail(finding, 'contents', `${error.message} What follows in the archive was not read.`);
    return;
  }
  v.tally.done(counts.files);
  pass(finding, 'contents', 'compression', 'metadata');
  for (const [name, found] of Object.entries(counts)) {
    const wanted = artifact[name as keyof typeof counts];
    if (found !== wanted)
      fail(finding, 'metadata', `The archive has ${found} as its ${name}, the manifest ${wanted}.`);
  }
}

const PIECE = 4 * 1024 * 1024;

async function* piecesOf(own: StoredPass, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { bytes } = own.expected;
  for (let at = 0; at < bytes; at += PIECE) yield await own.read(at, Math.min(PIECE, bytes - at), signal);
}

function count(counts: Record<string, number>, { type, size }: TarEntry): void {
  const add = (name: string, number: number): void => {
    counts[name] = (counts[name] ?? 0) + number;
  };
  if (type === 'file') add('contentBytes', size);
  if (type === 'file' || type === 'hardlink') add('files', 1);
  else add(type === 'directory' ? 'directories' : 'otherEntries', 1);
}
