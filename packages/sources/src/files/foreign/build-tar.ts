import { Readable } from 'node:stream';
import { type ArchiveRoot, paddingOf, TAR_END, tarComment } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { SourceWarning } from '../../types.ts';
import { readDecision } from '../capture/decisions.ts';
import type { Facts } from '../capture/facts.ts';
import { passTar } from '../capture/pass-tar.ts';
import type { ReadTarOptions } from '../capture/read-tar.ts';
import type { Spill } from '../capture/spill.ts';
import { nulPairs } from '../nul-records.ts';
import { show } from '../paths.ts';

/** One path that is to be read, as the scan saw it. */
export interface Wanted {
  /** Absolute. */
  path: Buffer;
  facts: Facts;
}

export interface BuildOptions extends Omit<ReadTarOptions, 'process' | 'spill'> {
  roots: readonly ArchiveRoot[];
  names: Spill;
  decided: Spill;
  /**
   * The headers and contents of what is wanted, in its order. What it leaves out it tells by `leaveOut`, what else
   * is to be said by `warn`.
   */
  entries(wanted: AsyncGenerator<Wanted>, leaveOut: (warning: SourceWarning) => void): AsyncGenerator<Buffer>;
}

/** A tar stream whose entries Tarfleet builds itself. It ends only when each name is in it or was warned about. */
export function buildTar(options: BuildOptions): Readable {
  const { roots, names, decided, warn } = options;
  let leftOut = 0;
  const leaveOut = (warning: SourceWarning): void => {
    leftOut += 1;
    warn(warning);
  };
  async function* all(): AsyncGenerator<Buffer> {
    yield tarComment(roots);
    yield* gathered(options.entries(wantedOf(decided), leaveOut));
    yield TAR_END;
  }
  return passTar({
    source: Readable.from(all(), { objectMode: false, highWaterMark: 256 * 1024 }),
    ...{ told: Promise.resolve(), signal: options.signal },
    ...{ onEntry: options.onEntry, onEnd: options.onEnd, copies: options.copies },
    async settle(entries) {
      await options.onWarned();
      const silent = names.records() - entries - leftOut;
      if (silent === 0) return;
      throw new AppError(
        'COMMAND_FAILED',
        `${silent} of ${names.records()} entries were left out unnoticed.`,
      );
    },
  });
}

async function* wantedOf(decided: Spill): AsyncGenerator<Wanted> {
  for await (const pairs of nulPairs(await decided.read())) {
    for (const [path, note] of pairs) {
      const decision = readDecision(path, note);
      if ('facts' in decision && decision.isRead) yield { path, facts: decision.facts };
    }
  }
}

/** Small pieces together, so that not every header is a turn of its own for all that follows. */
async function* gathered(pieces: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < 64 * 1024) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

const ZEROS = Buffer.alloc(64 * 1024);

/** Exactly so many bytes of a content and tar's padding: the rest is cut, what lacks is zeros. Gives how much lacked. */
export async function* exactly(content: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer, number> {
  let left = size;
  for await (const chunk of content) {
    if (left > 0 && chunk.length > 0) yield chunk.subarray(0, left);
    left = Math.max(0, left - chunk.length);
  }
  for (let zeros = left + paddingOf(size); zeros > 0; zeros -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(zeros, ZEROS.length));
  }
  return left;
}

export function shrank(path: Buffer): SourceWarning {
  const message = `${show(path)} became shorter while it was read; its end is filled with zeros in the backup.`;
  return { code: 'FILE_SHRANK', message, path };
}

export function changed(path: Buffer): SourceWarning {
  const message = `${show(path)} changed while it was read; what the backup holds of it may be of several moments.`;
  return { code: 'FILE_CHANGED', message, path };
}

export function cutShort(path: Buffer, because: string): SourceWarning {
  const message = `${show(path)} could not be read to its end; the rest is filled with zeros in the backup (${because}).`;
  return { code: 'FILE_UNREADABLE', message, path };
}

export function otherKind(path: Buffer): SourceWarning {
  const message = `${show(path)} became of a kind that no archive can hold; the backup does not hold it.`;
  return { code: 'KIND_SKIPPED', message, path };
}
