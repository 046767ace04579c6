import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import { cleaning } from '../../cleaning.ts';
import type { RestoreContext, RestoreSummary } from '../../types.ts';
import { sendBytes } from '../send-bytes.ts';
import {
  APPLY_SCRIPT,
  FINISH_SCRIPT,
  FORGET_SCRIPT,
  LOOK_SCRIPT,
  STAGE_SCRIPT,
  UNDO_SCRIPT,
  UNDOABLE_SCRIPT,
  WRITE_SCRIPT,
} from './scripts.ts';

const Identity = Type.String({ pattern: '^[0-9]+:[0-9]+$' });

/** A file that is restored and not yet, or no longer, or just now in its place. */
export const FileSwap = Type.Object(
  {
    folder: Type.String({ pattern: '^/' }),
    stage: Type.String({ pattern: '^\\.tarfleet-restore-' }),
    stageId: Identity,
    name: Type.String({ minLength: 1 }),
    fileId: Identity,
    /** Whether its service makes the file anew as it runs: then it is told by its place. */
    rewritten: Type.Boolean(),
    /** Names in the same folder that belong to the old one, and go and come with it. */
    also: Type.Array(Type.String({ minLength: 1 })),
    /** Whether there was a file before. */
    hadOld: Type.Boolean(),
    parts: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);
export type FileSwap = Static<typeof FileSwap>;

/** A working folder that may be there or not. */
export const ClaimedStage = Type.Object(
  { folder: FileSwap.properties.folder, stage: FileSwap.properties.stage, stageId: Type.Literal('') },
  { additionalProperties: false },
);
export type ClaimedStage = Static<typeof ClaimedStage>;

export function stageName(jobId: string): string {
  return `.tarfleet-restore-${jobId}`;
}

export interface FilePlace {
  folder: string;
  name: string;
  exists: boolean;
  freeBytes: number;
}

type Place = Pick<RestoreContext, 'session' | 'signal'>;

/** Where a file belongs, links followed. PATH_REFUSED with what the server said. */
export async function lookAtFile(place: Place, path: string): Promise<FilePlace> {
  const printed = await script(place, LOOK_SCRIPT, [path], 'PATH_REFUSED');
  const [folder = '', name = '', exists, free] = printed.split('\n');
  return { folder, name, exists: exists === 'yes', freeBytes: Number(free) };
}

export interface NewFile {
  at: FilePlace;
  jobId: string;
  also: (name: string) => string[];
  rewritten: boolean;
  bytes: AsyncIterable<Buffer>;
  /** `1000:1000`, and in octal; where there is no file whose owner and mode it could take. */
  owner: string;
  mode: string;
}

/** Brings a file beside its place; what an earlier attempt of the job left is removed, and all of it when this one fails. */
export async function stageFile(place: Place, file: NewFile): Promise<FileSwap> {
  const { folder, name, exists } = file.at;
  const stage = stageName(file.jobId);
  // By its name alone until it tells more of itself: it may be there even if nobody hears that it was made.
  let stageId = '';
  try {
    stageId = (await script(place, STAGE_SCRIPT, [folder, stage], 'RESTORE_FAILED')).trim();
    const own = [folder, stage, stageId];
    const sent = await sendBytes(place, ['sh', '-c', WRITE_SCRIPT, 'sh', ...own], file.bytes);
    const finish = [...own, name, String(sent.bytes), file.owner, file.mode];
    const fileId = (await script(place, FINISH_SCRIPT, finish, 'RESTORE_FAILED')).trim();
    const { rewritten } = file;
    return {
      ...{ folder, stage, stageId, name, fileId, rewritten },
      ...{ also: file.also(name), hadOld: exists, ...sent },
    };
  } catch (error) {
    // The fault is told; what cannot be removed is so by the next attempt.
    await forgetFile(cleaning(place), { folder, stage, stageId }, false).catch(() => undefined);
    throw error;
  }
}

export async function applyFile(place: Place, swap: FileSwap): Promise<RestoreSummary> {
  await script(place, APPLY_SCRIPT, words(swap), 'RESTORE_FAILED');
  return { filesRestored: 1, filesSkipped: 0, bytesRestored: swap.bytes };
}

export async function undoFile(place: Place, swap: FileSwap): Promise<void> {
  await script(place, UNDO_SCRIPT, words(swap), 'RESTORE_FAILED');
}

export async function undoableFile(place: Place, swap: FileSwap): Promise<string | null> {
  const argv = [...words({ ...swap, also: [] }), swap.hadOld ? 'yes' : 'no'];
  const { code, stderr } = await place.session.run(['sh', '-c', UNDOABLE_SCRIPT, 'sh', ...argv], {
    signal: place.signal,
  });
  return code === 0 ? null : `The restore cannot be undone: ${stderr.toString().trim()}`;
}

export async function forgetFile(
  place: Place,
  { folder, stage, stageId }: Pick<FileSwap, 'folder' | 'stage' | 'stageId'>,
  keepOld: boolean,
): Promise<void> {
  await script(place, FORGET_SCRIPT, [folder, stage, stageId, keepOld ? 'keep' : 'remove'], 'COMMAND_FAILED');
}

/** The new file, while it is in the working folder. */
export function stagedPath({ folder, stage }: FileSwap): string {
  return `${folder.replace(/\/$/, '')}/${stage}/new/file`;
}

function words({ folder, stage, stageId, name, fileId, rewritten, also }: FileSwap): string[] {
  return [folder, stage, stageId, name, rewritten ? '-' : fileId, ...also];
}

async function script(
  { session, signal }: Place,
  text: string,
  args: readonly string[],
  code: 'PATH_REFUSED' | 'RESTORE_FAILED' | 'COMMAND_FAILED',
): Promise<string> {
  const done = await session.run(['sh', '-c', text, 'sh', ...args], { signal });
  if (done.code === 0) return done.stdout.toString();
  throw new AppError(
    code,
    done.stderr.toString().trim().slice(-500) || 'A command on the server failed without a word.',
  );
}
