/** A folder, an archive and a local session for the tests of restores. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { ServiceTarget } from '@tarfleet/contracts';
import type { PrepareOptions, RestoreSummary, SourceWarning } from '../../types.ts';
import { captureFiles } from '../capture/capture-files.ts';
import { calm, localSession } from '../testing-sessions.ts';
import { createRestoreSteps } from './steps/create-restore-steps.ts';

const run = promisify(execFile);

export interface Restored extends RestoreSummary {
  warnings: SourceWarning[];
  /** How often the archive was opened. */
  opened: number;
}

export interface Bench {
  dir: string;
  archive: string;
  /** Into `archive`; a warning is a fault. */
  backUp(what: ServiceTarget): Promise<void>;
  /** From `archive`, over what is there, by the local session, unless told otherwise. */
  restore(what: ServiceTarget, more?: Partial<PrepareOptions>): Promise<Restored>;
  /** What restores left of their own anywhere below `dir`. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
}

export async function createBench(): Promise<Bench> {
  const dir = await mkdtemp(join(tmpdir(), 'restore-test-'));
  await chmod(dir, 0o755);
  const archive = join(dir, 'archive.tar');
  const local = await localSession();
  return {
    dir,
    archive,
    async backUp(what) {
      const warnings: SourceWarning[] = [];
      const warn = (warning: SourceWarning): void => void warnings.push(warning);
      const capture = await captureFiles(
        { tmpDir: dir },
        {
          ...{ session: local, service: what, signal: calm(), warn, onEntry: () => undefined },
          ...{ parent: null, deduplicate: 'none' },
        },
      );
      await pipeline(capture.tar, createWriteStream(archive));
      await capture.close();
      if (warnings.length > 0) throw new Error(`unexpected: ${warnings.map((one) => one.message).join(' ')}`);
    },
    async restore(what, more = {}) {
      const warnings: SourceWarning[] = [];
      let opened = 0;
      const steps = createRestoreSteps();
      const options: PrepareOptions = {
        session: local,
        signal: calm(),
        service: what,
        jobId: randomBytes(8).toString('hex'),
        openTar: async () => {
          opened += 1;
          return createReadStream(archive);
        },
        roots: null,
        extras: [],
        restorePath: null,
        overwrite: true,
        keep: [],
        needs: { bytes: 0, files: 0 },
        warn: (warning) => warnings.push(warning),
        onEntry: () => undefined,
        ...more,
      };
      const prepared = await steps.prepare(options);
      try {
        const summary = await steps.apply(prepared, options);
        return { ...summary, warnings, opened };
      } catch (error) {
        await steps.undo(prepared, { ...options, signal: calm() });
        throw error;
      } finally {
        await steps.forget(prepared, { ...options, signal: calm() }, { keepOld: false });
      }
    },
    async leftovers() {
      const { stdout } = await run('find', [dir, '-name', '*tarfleet*']);
      return stdout.split('\n').filter(Boolean);
    },
    async close() {
      await local.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Writes files below a folder, which is made. */
export async function makeFiles(base: string, content: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(content)) {
    await mkdir(join(base, path, '..'), { recursive: true });
    await writeFile(join(base, path), text);
  }
}
