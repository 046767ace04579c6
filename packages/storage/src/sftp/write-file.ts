import { createHash } from 'node:crypto';
import type { PutResult } from '../types.ts';
import { STATUS, statusOf } from './sftp-faults.ts';
import type { SftpSession } from './sftp-session.ts';

/** Every server takes so many bytes in one request. */
const PIECE = 32 * 1024;
/** Requests that may be under way: 2 MiB, so that a distant server is not waited for at each. */
const WINDOW = 64;

/** Creates a file that nobody else has, readable by its owner alone. */
export function openNew(session: SftpSession, path: string, signal: AbortSignal): Promise<Buffer> {
  return session.call<Buffer>(signal, (sftp, done) => sftp.open(path, 'wx', { mode: 0o600 }, done));
}

/** Writes all chunks to an open file, has the disk keep them where the server can, and closes it, also on failure. */
export async function writeAll(
  session: SftpSession,
  handle: Buffer,
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<PutResult> {
  const hash = createHash('sha256');
  const inFlight = new Set<Promise<void>>();
  let bytes = 0;
  let fault: { error: unknown } | null = null;
  const send = (piece: Buffer, position: number): void => {
    const sending = session
      .call(signal, (sftp, done) => sftp.write(handle, piece, 0, piece.length, position, done))
      .catch((error: unknown) => {
        fault ??= { error };
      })
      .finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  };
  const throwFault = (): void => {
    if (fault) throw fault.error;
  };
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; at += PIECE) {
        const piece = chunk.subarray(at, at + PIECE);
        send(piece, bytes);
        bytes += piece.length;
        while (inFlight.size >= WINDOW) await Promise.race(inFlight);
        throwFault();
      }
    }
    await Promise.all(inFlight);
    throwFault();
    await sync(session, handle, signal);
  } catch (error) {
    await Promise.all(inFlight);
    await closeHandle(session, handle).catch(() => undefined);
    throw error;
  }
  // Some file systems tell of a full disk or quota only here.
  await closeHandle(session, handle);
  return { bytes, sha256: hash.digest('hex') };
}

/** Not for the signal: what is open must be closed. */
export function closeHandle(session: SftpSession, handle: Buffer): Promise<void> {
  return session.call(uninterrupted, (sftp, done) => sftp.close(handle, done));
}

const uninterrupted = new AbortController().signal;

async function sync(session: SftpSession, handle: Buffer, signal: AbortSignal): Promise<void> {
  await session
    .call(signal, (sftp, done) => sftp.ext_openssh_fsync(handle, done))
    .catch((error: unknown) => {
      // Servers other than OpenSSH's mostly have no such request; they keep what they have answered for.
      if (!isUnsupported(error)) throw error;
    });
}

function isUnsupported(error: unknown): boolean {
  return statusOf(error) === STATUS.unsupported;
}
