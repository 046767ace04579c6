import type { ErrorCode } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Exit, RemoteProcess } from '@tarfleet/transport';

/** What output or input looks like that a program did not finish. */
const BROKEN: ReadonlySet<ErrorCode> = new Set(['COMMAND_FAILED', 'CONNECTION_LOST']);

/**
 * Whether something from outside ended a program, or one that it ran: shells tell a signal as 128 and more, xargs as
 * 125. Another try may fare better.
 */
export function wasKilled({ code, signal }: Exit): boolean {
  return signal !== null || code === 125 || (code !== null && code > 128);
}

/**
 * A command's exit, once whoever reads its output has read it. The output of an aborted command breaks at once, while
 * the command itself may still be dying: this rejects only when nothing of it is left, so that what it made can be removed.
 */
export async function exitOf(
  process: RemoteProcess,
  signal: AbortSignal,
  ...readers: readonly Promise<unknown>[]
): Promise<Exit> {
  try {
    const [exit] = await Promise.all([process.done, ...readers]);
    return exit;
  } catch (error) {
    if (signal.aborted) await process.done.catch(() => undefined);
    throw error;
  }
}

/**
 * Waits for both: for what is said of a program's end, and for whoever reads its output or writes its input. Of a
 * program that failed its own end is told, before what is then wrong with the rest.
 */
export async function withItsEnd<T>(told: Promise<unknown>, transfer: Promise<T>): Promise<T> {
  const [end, transferred] = await Promise.allSettled([told, transfer]);
  if (transferred.status === 'fulfilled') {
    if (end.status === 'rejected') throw end.reason;
    return transferred.value;
  }
  const { reason } = transferred;
  throw end.status === 'rejected' && reason instanceof AppError && BROKEN.has(reason.code)
    ? end.reason
    : reason;
}
