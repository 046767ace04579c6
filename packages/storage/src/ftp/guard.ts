import { type Client, FTPError } from 'basic-ftp';
import { type FtpPlace, translateFtp } from './ftp-faults.ts';
import type { FtpPool } from './ftp-pool.ts';
import { NotBegun, OwnFault } from './upload.ts';

/**
 * Runs a call on a connection of its own. One that is aborted, `graceMs` after that, or on which anything but an answer
 * went wrong, is closed. Rejects with AppErrors, with what the caller's own stream or refusal said, or with NotBegun.
 */
export type Guard = <T>(
  kind: 'add' | 'remove' | 'read',
  signal: AbortSignal,
  action: (client: Client) => Promise<T>,
  graceMs?: number,
) => Promise<T>;

export function createGuard(pool: FtpPool, place: FtpPlace): Guard {
  return async function guarded(kind, signal, action, graceMs = 0) {
    const { client, release } = await pool.lease(signal);
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      if (graceMs === 0) client.close();
      else timer = setTimeout(() => client.close(), graceMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    let reusable = false;
    try {
      const result = await action(client);
      reusable = true;
      return result;
    } catch (error) {
      // Where an upload failed, answers to it may still come.
      reusable = error instanceof FTPError && kind !== 'add';
      signal.throwIfAborted();
      if (error instanceof NotBegun) throw error;
      if (error instanceof OwnFault) throw error.error;
      throw translateFtp(error, place, kind !== 'read');
    } finally {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
      release(reusable);
    }
  };
}
