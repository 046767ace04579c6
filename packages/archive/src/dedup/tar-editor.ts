import type { Transform } from 'node:stream';
import { createFeedTransform } from '../feed-transform.ts';
import type { TarHead } from '../tar-entry.ts';
import { createTarParser } from '../tar-parser.ts';
import type { EntryEnd, TarEntry } from '../types.ts';

/** What becomes of a tar stream. All offsets are of the stream that is written. */
export interface TarEdits {
  /** What is written before this entry, or (null) before the end; null: nothing. */
  insert(before: TarEntry | null, offset: number): Buffer | null;
  /** The entry is next. Whether all of it is held in memory until `replace` decides. */
  hold(entry: TarEntry, head: TarHead): boolean;
  /** All of a held entry has come: what is written in its place (which may be empty), or null to let it pass. */
  replace(entry: TarEntry, end: EntryEnd, head: TarHead): Buffer | null;
  /** All of an entry has passed as it was. */
  passed(entry: TarEntry, end: EntryEnd, head: TarHead): void;
  /** Each entry of the stream that is read, however it fares. */
  onRead?(): void;
}

/**
 * A tar stream in which some entries are replaced, left out or put in; all else passes unchanged, byte by byte. Faults
 * are those of the walker. What the edits throw becomes the stream's error.
 */
export function createTarEditor(edits: TarEdits): Transform {
  /** What has come and is neither written nor left out, from the offset `from` of the stream that is read. */
  const waiting: Buffer[] = [];
  let from = 0;
  /** How much further the stream that is written is than the one that is read. */
  let shift = 0;
  /** Where the entry that is held begins. */
  let heldAt: number | null = null;
  let written: Buffer[] = [];

  /** Writes, or leaves out, what waits before this offset. */
  const advance = (to: number, write: boolean): void => {
    while (from < to) {
      const first = waiting[0];
      if (!first) throw new Error('The editor lost its place.');
      const part = first.subarray(0, to - from);
      if (write) written.push(part);
      if (part.length === first.length) waiting.shift();
      else waiting[0] = first.subarray(part.length);
      from += part.length;
    }
  };
  const put = (bytes: Buffer): void => {
    if (bytes.length > 0) written.push(bytes);
    shift += bytes.length;
  };
  const insert = (before: TarEntry | null, offset: number): void => {
    const bytes = edits.insert(before, offset + shift);
    if (bytes === null) return;
    advance(offset, true);
    put(bytes);
  };
  const moved = (entry: TarEntry): TarEntry => ({ ...entry, offset: entry.offset + shift });

  const parser = createTarParser({
    onEntry(entry, head) {
      edits.onRead?.();
      insert(entry, entry.offset);
      heldAt = edits.hold(moved(entry), head) ? entry.offset : null;
    },
    onEnd(entry, end, head) {
      const instead = heldAt === null ? null : edits.replace(moved(entry), end, head);
      heldAt = null;
      if (instead === null) {
        edits.passed(moved(entry), end, head);
        return;
      }
      advance(entry.offset, true);
      advance(entry.offset + end.bytes, false);
      shift -= end.bytes;
      put(instead);
    },
    onClose: (offset) => insert(null, offset),
  });
  const flush = (stream: Transform): void => {
    advance(heldAt ?? parser.settled(), true);
    const all = written;
    written = [];
    for (const part of all) stream.push(part);
  };
  return createFeedTransform({
    take(chunk, stream) {
      waiting.push(chunk);
      parser.take(chunk);
      flush(stream);
    },
    end: () => parser.end(),
  });
}
