import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { IndexEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { ArtifactPlace } from '../archives/artifact-reader.ts';
import { compareExtracted } from './compare-extracted.ts';
import { extractHere, tarHere } from './extract-here.ts';
import { type Finding, fail } from './finding.ts';
import { assertRoom, makeScratchFolder } from './scratch-folder.ts';
import { openTarSource, type TarSource } from './tar-source.ts';
import type { Verification } from './verification.ts';

/** So many paths wait for a second look at once. */
const SUSPECTS_MAX = 10_000;
const FAULTS_MAX = 100;
/** Those have been compared already, as far as this user can set them. */
const ATTRIBUTES_DIFFER = /": (Uid|Gid|Mode|Mod time) differs$/;

/**
 * Extracts a service on the worker's own disk and compares what is there with the index: type, size, mode, time,
 * link target, content, and as root the owner. Nothing of it is left, however it ends. As another user than root,
 * device nodes are left out. INSUFFICIENT_STORAGE, TOOL_MISSING and COMMAND_FAILED say nothing of the backup.
 */
export async function testRestore(
  v: Verification,
  place: ArtifactPlace,
  dataKey: Buffer | null,
  finding: Finding,
): Promise<void> {
  const { plan, tmpDir, signal, delivery } = v;
  const { index, contentBytes, files, directories, otherEntries } = place.artifact;
  const session = await v.ownMachine(signal);
  try {
    const { uid } = await session.capabilities(signal);
    const asRoot = uid === 0;
    const where = { tmpDir, jobId: plan.jobId, token: delivery.token };
    const scratch = await makeScratchFolder(session, where, signal);
    try {
      await assertRoom(scratch.path, {
        bytes: index?.contentBytes ?? contentBytes,
        entries: index?.entries ?? files + directories + otherEntries,
      });
      const folder = join(scratch.path, 'tree');
      await mkdir(folder);
      const source = await openTarSource(
        place,
        { dataKey, wants: (entry) => asRoot || !isDevice(entry) },
        signal,
      );
      await extractHere(session, { folder, asRoot, tar: () => source.tar() }, signal);
      const faults = await compareAll(v, session, { folder, source, asRoot });
      finding.service.restored = faults.length > 0 ? 'failed' : 'passed';
      for (const fault of faults) fail(finding, 'contents', `Test restore: ${fault}`);
      if (faults.length > 0) finding.service.corruptedFiles = faults.length;
    } finally {
      await scratch.remove();
    }
  } finally {
    await session.close();
  }
}

async function compareAll(
  v: Verification,
  session: Session,
  { folder, source, asRoot }: { folder: string; source: TarSource; asRoot: boolean },
): Promise<string[]> {
  const faults: string[] = [];
  let suspects = new Set<string>();
  const lookAgain = async (): Promise<void> => {
    if (suspects.size > 0)
      faults.push(...(await compareByTar(v, session, { folder, source, paths: suspects })));
    suspects = new Set();
  };
  const options = { asRoot, signal: v.signal };
  for await (const entry of await source.entries()) {
    v.signal.throwIfAborted();
    const shown = entry.path.toString();
    const onBytes = (bytes: number): void => v.tally.read(bytes, shown);
    const fault = await compareExtracted(Buffer.from(folder), entry, { ...options, onBytes });
    if (fault === 'content') suspects.add(entry.path.toString('latin1'));
    else if (fault !== null) faults.push(`${shown}: ${fault}.`);
    if (faults.length >= FAULTS_MAX) break;
    if (suspects.size >= SUSPECTS_MAX) await lookAgain();
  }
  await lookAgain();
  return faults;
}

/** The checksum of a sparse file is of its map and data, so its content is compared by tar, which knows how to read them. */
async function compareByTar(
  v: Verification,
  session: Session,
  { folder, source, paths }: { folder: string; source: TarSource; paths: ReadonlySet<string> },
): Promise<string[]> {
  const { code, words } = await tarHere(
    session,
    {
      ...{ options: ['--compare', '--quoting-style=c'], folder, tar: () => source.tar(paths) },
      ignore: ATTRIBUTES_DIFFER,
    },
    v.signal,
  );
  if (code !== 0 && code !== 1) {
    throw new AppError('COMMAND_FAILED', `The worker's tar could not compare what it extracted: ${words}`);
  }
  return words === '' ? [] : [`Contents differ from what was stored, among ${paths.size} files: ${words}`];
}

function isDevice({ type }: IndexEntry): boolean {
  return type === 'character-device' || type === 'block-device';
}
