/** What the tests of captures share: a folder, and captures of what is in it. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { createTarWalker, decodeRootList, type TarEntry } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';
import type { Capture, SourceWarning } from '../../types.ts';
import { calm, localSession } from '../testing-sessions.ts';
import { captureFiles } from './capture-files.ts';

const run = promisify(execFile);

export interface Captured extends Capture {
  warnings: SourceWarning[];
  entries: TarEntry[];
}

export type CaptureWorld = Awaited<ReturnType<typeof createCaptureWorld>>;

export async function createCaptureWorld() {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-capture-'));
  await run('chmod', ['755', dir]);
  const spills = join(dir, 'spills');
  await mkdir(spills);

  const start = async (session: Session, what: ServiceTarget, signal = calm()): Promise<Captured> => {
    const warnings: SourceWarning[] = [];
    const entries: TarEntry[] = [];
    const capture = await captureFiles(
      { tmpDir: spills },
      {
        ...{ session, service: what, signal, parent: null, deduplicate: 'none' },
        warn: (warning) => warnings.push(warning),
        onEntry: (entry) => entries.push(entry),
      },
    );
    return { ...capture, warnings, entries };
  };
  return {
    dir,
    /** Where captures keep their lists. */
    spills,
    start,
    /** Read to its end; over a session of its own when none is given. */
    async whole(what: ServiceTarget, session?: Session): Promise<Captured & { bytes: Buffer }> {
      const own = session ?? (await localSession());
      try {
        const captured = await start(own, what);
        return { ...captured, bytes: await buffer(captured.tar) };
      } finally {
        if (!session) await own.close();
      }
    },
    names: (captured: Captured): string[] =>
      captured.entries
        .map((entry) => `/${entry.path.toString('latin1')}`.replace(/\/$/, '').replace(dir, ''))
        .sort(),
    /** Makes files that hold their own names. */
    async files(...paths: string[]): Promise<void> {
      for (const path of paths) {
        await mkdir(join(dir, path, '..'), { recursive: true });
        await writeFile(join(dir, path), path);
      }
    },
    async assertReadable(bytes: Buffer): Promise<void> {
      const file = join(dir, 'check.tar');
      await writeFile(file, bytes);
      await run('tar', ['tf', file], { maxBuffer: 1 << 26 });
    },
    async rootsOf(bytes: Buffer): Promise<string[][]> {
      let found: string[][] = [];
      const walker = createTarWalker({
        onEntry: () => undefined,
        onComment(comment) {
          found = (decodeRootList(comment) ?? []).map((root) => [
            root.type,
            root.path.toString().replace(dir, ''),
          ]);
        },
      });
      walker.end(bytes);
      await buffer(walker);
      return found;
    },
    close: () => rm(dir, { recursive: true, force: true }),
  };
}
