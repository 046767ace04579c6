import { type DatabaseFacts, PREVIEW_EXAMPLES } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { Type } from 'typebox';
import { cleaning } from '../../cleaning.ts';
import { createStateReader } from '../../state-reader.ts';
import type { PreparedRestore, PrepareOptions, RestoreContext, Source } from '../../types.ts';
import { ABOUT } from '../about.ts';
import { askToReplace } from '../ask-to-replace.ts';
import { readDumps } from '../read-dumps.ts';
import {
  applyFile,
  ClaimedStage,
  type FilePlace,
  FileSwap,
  forgetFile,
  lookAtFile,
  stageFile,
  stageName,
  undoableFile,
  undoFile,
} from './file-swap.ts';

/** What an engine says of its one file. */
export interface FileEngine {
  kind: 'sqlite' | 'redis';
  /** The file's path on the server. */
  path: string;
  /** Whether what is there would be lost; null: as the file is there. */
  holdsData: boolean | null;
  /** Whether its service makes the file anew as it runs. */
  rewritten: boolean;
  /** What belongs to the file. */
  also(name: string): string[];
  /** Looks at the new file before it is put in place. */
  check(swap: FileSwap): Promise<void>;
}

type Begin = (options: Pick<PrepareOptions, 'service' | 'database'> & RestoreContext) => Promise<{
  engine: FileEngine;
  facts: DatabaseFacts;
  dropExisting: boolean;
  unsaved?: boolean;
}>;

/** What is claimed is known by its name alone, until its folder is there. */
const State = Type.Object(
  { kind: Type.Enum(['sqlite', 'redis']), swap: Type.Union([FileSwap, ClaimedStage]) },
  { additionalProperties: false },
);
const readState = createStateReader(State, ({ folders }) => `${folders.join(', ')} is still there`);
const stageOf = (prepared: PreparedRestore): FileSwap | ClaimedStage => readState(prepared).swap;
const swapOf = (prepared: PreparedRestore): FileSwap => {
  const swap = stageOf(prepared);
  if ('fileId' in swap) return swap;
  throw new AppError(
    'RESTORE_FAILED',
    `The restored file never came to be whole in ${prepared.folders.join(', ')}.`,
  );
};
/** Beside what the file itself takes. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** Restores of databases that are one file: brought beside its place, and swapped by rename while nobody has it open. */
export function createFileSteps(begin: Begin): Omit<Source, 'capture'> {
  const look = async (options: Parameters<Begin>[0] & Partial<Pick<PrepareOptions, 'needs'>>) => {
    const { engine, ...database } = await begin(options);
    const at = await lookAtFile(options, engine.path);
    const holdsData = engine.holdsData ?? at.exists;
    return { engine, ...database, at, holdsData };
  };
  const assertFree = (
    { engine, at, dropExisting, unsaved, holdsData }: Awaited<ReturnType<typeof look>>,
    bytes: number,
  ): FilePlace => {
    if (holdsData && !dropExisting) {
      throw new AppError(
        'CONFLICT',
        `There is a database at ${engine.path} already, and nothing was changed. ${askToReplace('it', unsaved)}`,
      );
    }
    if (at.freeBytes < bytes + SPARE_BYTES) {
      throw new AppError(
        'INSUFFICIENT_STORAGE',
        `The restored database needs ${bytes} bytes beside the one that is there, and ${at.folder} has ${at.freeBytes}.`,
      );
    }
    return at;
  };
  return {
    async check(options) {
      assertFree(await look(options), options.needs.bytes);
    },
    async prepare(options) {
      const looked = await look(options);
      const at = assertFree(looked, options.needs.bytes);
      const swap = await bring(options, looked.engine, at);
      try {
        await looked.engine.check(swap);
      } catch (error) {
        // The fault is told; what cannot be removed is so by the next attempt.
        await forgetFile(cleaning(options), swap, false).catch(() => undefined);
        throw error;
      }
      return preparedOf(looked.engine, swap);
    },
    apply: async (prepared, context) => applyFile(context, swapOf(prepared)),
    undo: async (prepared, context) => undoFile(context, swapOf(prepared)),
    undoable: async (prepared, context) => undoableFile(context, swapOf(prepared)),
    forget: (prepared, context, { keepOld }) => forgetFile(context, stageOf(prepared), keepOld),
    async preview({ entries, ...options }) {
      await entries.return(undefined);
      const { engine, holdsData } = await look(options);
      const group = (there: boolean) => {
        const examples = there ? [engine.path].slice(0, PREVIEW_EXAMPLES) : [];
        return { entries: examples.length, files: examples.length, bytes: 0, examples };
      };
      const none = group(false);
      return {
        created: group(!holdsData),
        overwritten: group(holdsData),
        unchanged: none,
        deleted: none,
        kept: none,
      };
    },
  };
}

function preparedOf({ kind }: FileEngine, swap: FileSwap | ClaimedStage): PreparedRestore {
  const folder = `${swap.folder.replace(/\/$/, '')}/${swap.stage}`;
  return { v: 1, folders: [folder], state: { kind, swap } };
}

async function bring(options: PrepareOptions, engine: FileEngine, at: FilePlace): Promise<FileSwap> {
  const claimed: ClaimedStage = { folder: at.folder, stage: stageName(options.jobId), stageId: '' };
  await options.claim?.(preparedOf(engine, claimed));
  const tar = await options.openTar();
  let about = { owner: '0:0', mode: '600' };
  let swap: FileSwap | null = null;
  try {
    for await (const { name, bytes } of readDumps(tar, options.onEntry)) {
      if (name === ABOUT) about = await readAbout(bytes);
      else if (swap !== null) throw malformed('it holds more than one file');
      else
        swap = await stageFile(options, {
          at,
          jobId: options.jobId,
          also: engine.also,
          rewritten: engine.rewritten,
          bytes,
          ...about,
        });
    }
    if (swap === null) throw malformed('it holds no file');
    return swap;
  } catch (error) {
    // The fault is told; what cannot be removed is so by the next attempt.
    if (swap) await forgetFile(cleaning(options), swap, false).catch(() => undefined);
    throw error;
  } finally {
    tar.on('error', () => undefined);
    tar.destroy();
  }
}

async function readAbout(bytes: AsyncGenerator<Buffer>): Promise<{ owner: string; mode: string }> {
  const parts: Buffer[] = [];
  for await (const part of bytes) parts.push(part);
  try {
    const { owner, mode } = JSON.parse(Buffer.concat(parts).toString()) as {
      owner?: unknown;
      mode?: unknown;
    };
    if (/^\d+:\d+$/.test(String(owner)) && /^[0-7]{3,4}$/.test(String(mode))) {
      return { owner: String(owner), mode: String(mode) };
    }
  } catch {
    // Said below.
  }
  throw malformed('what it says of its file cannot be read');
}

function malformed(what: string): AppError {
  return new AppError('ARCHIVE_MALFORMED', `The archive of the database is not as it should be: ${what}.`);
}
