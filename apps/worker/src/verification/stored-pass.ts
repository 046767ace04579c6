import { createHash } from 'node:crypto';
import type { Storage } from '@tarfleet/storage';
import { readPart } from '../archives/stored-bytes.ts';
import { checkSize, type ExpectedObject, judgeBytes, type ObjectCheck } from '../jobs/check-object.ts';
import { isDamage } from './finding.ts';
import { createTurn } from './in-turn.ts';

/** What is fetched at a time of what nobody asked for, in bytes. */
const STEP = 8 * 1024 * 1024;
/** What stays of an object in memory, in bytes: a read begins in the member, or segment, in which the last one ended. */
const KEPT = 6 * 1024 * 1024;
/** Objects of which so much stays; of an index's ancestors there may be dozens. */
const KEPT_OBJECTS = 3;

/**
 * One pass over a stored object: what is asked for is read once, in order, and what lies between as well, so that at
 * its end the SHA-256 of all of it is known. What lies behind is read again. No read waits open for the next one.
 */
export interface StoredPass {
  readonly expected: ExpectedObject;
  /** Just these bytes. BACKUP_CORRUPTED when they are not there. */
  read(start: number, length: number, signal: AbortSignal): Promise<Buffer>;
  /** Reads the rest and compares. What is wrong with the destination is thrown. */
  finish(signal: AbortSignal): Promise<ObjectCheck>;
}

/** The passes of one service, by their keys. */
export interface StoredPasses {
  begin(expected: ExpectedObject): StoredPass;
  /** Null for an object that nobody is to compare. */
  of(key: string): StoredPass | null;
}

export function createStoredPasses(
  storage: Storage,
  onBytes: (bytes: number, key: string) => void,
): StoredPasses {
  const passes = new Map<string, StoredPass & { forget(): void }>();
  const recent: string[] = [];
  const used = (key: string): void => {
    if (recent.includes(key)) recent.splice(recent.indexOf(key), 1);
    recent.unshift(key);
    for (const old of recent.splice(KEPT_OBJECTS)) passes.get(old)?.forget();
  };
  return {
    begin(expected) {
      const pass = createStoredPass(storage, expected, onBytes, used);
      passes.set(expected.key, pass);
      return pass;
    },
    of: (key) => passes.get(key) ?? null,
  };
}

function createStoredPass(
  storage: Storage,
  expected: ExpectedObject,
  onBytes: (bytes: number, key: string) => void,
  onUse: (key: string) => void,
): StoredPass & { forget(): void } {
  const { key } = expected;
  const hash = createHash('sha256');
  let hashed = 0;
  /** The last bytes that were hashed. */
  let kept = Buffer.alloc(0);
  const inTurn = createTurn();

  const advance = async (to: number, signal: AbortSignal): Promise<Buffer> => {
    const bytes = await readPart(storage, key, { start: hashed, length: to - hashed }, signal);
    hash.update(bytes);
    hashed = to;
    onBytes(bytes.length, key);
    return bytes;
  };
  const keep = (bytes: Buffer): void => {
    const all = bytes.length < KEPT ? Buffer.concat([kept, bytes]) : bytes;
    // A copy, so that no small part holds a large buffer.
    kept = Buffer.from(all.subarray(Math.max(0, all.length - KEPT)));
  };
  const readNow = async (start: number, length: number, signal: AbortSignal): Promise<Buffer> => {
    onUse(key);
    while (hashed < start) keep(await advance(Math.min(hashed + STEP, start), signal));
    const parts: Buffer[] = [];
    const end = start + length;
    const first = hashed - kept.length;
    if (start < first) {
      parts.push(await readPart(storage, key, { start, length: Math.min(first, end) - start }, signal));
    }
    const from = Math.max(start, first);
    if (from < Math.min(end, hashed)) parts.push(kept.subarray(from - first, end - first));
    if (end > hashed) {
      const fresh = await advance(end, signal);
      keep(fresh);
      parts.push(fresh);
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  };
  return {
    expected,
    read: (start, length, signal) => inTurn(() => readNow(start, length, signal)),
    forget() {
      kept = Buffer.alloc(0);
    },
    finish: (signal) =>
      inTurn(async () => {
        kept = Buffer.alloc(0);
        const wrong = await checkSize(storage, expected, signal);
        if (wrong) return wrong;
        try {
          while (hashed < expected.bytes) await advance(Math.min(hashed + STEP, expected.bytes), signal);
        } catch (error) {
          if (!isDamage(error)) throw error;
          return { status: 'checksum_mismatch', message: error.message };
        }
        return judgeBytes(expected, { bytes: hashed, sha256: hash.digest('hex') });
      }),
  };
}
