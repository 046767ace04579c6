import type { AppError } from '@tarfleet/kernel';
import type { Client, SFTPWrapper } from 'ssh2';
import { lostFault, type SftpPlace, SftpStatus, STATUS } from './sftp-faults.ts';

type Done<T> = (error: (Error & { code?: unknown }) | null | undefined, value?: T) => void;

/** One channel of SFTP on one connection; any number of calls may be under way on it. */
export interface SftpSession {
  /** Makes one request. Rejects with an SftpStatus, with the error of a lost connection, or with the signal's reason. */
  call<T = void>(signal: AbortSignal, start: (sftp: SFTPWrapper, done: Done<T>) => void): Promise<T>;
  /** Whether the connection is gone. */
  isLost(): boolean;
  end(): void;
}

/** Takes over a connection that is logged in, and its channel. */
export function createSftpSession(client: Client, sftp: SFTPWrapper, place: SftpPlace): SftpSession {
  let lost: AppError | null = null;
  const waiting = new Set<(error: unknown) => void>();
  const lose = (): void => {
    if (lost) return;
    lost = lostFault(place);
    for (const reject of [...waiting]) reject(lost);
    client.destroy();
  };
  client.on('error', lose);
  client.on('close', lose);
  sftp.on('error', lose);
  sftp.on('close', lose);
  return {
    call<T>(signal: AbortSignal, start: (sftp: SFTPWrapper, done: Done<T>) => void) {
      return new Promise<T>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        if (lost) return reject(lost);
        const settle = (finish: () => void): void => {
          signal.removeEventListener('abort', onAbort);
          waiting.delete(fail);
          finish();
        };
        const fail = (error: unknown): void => settle(() => reject(error));
        const onAbort = (): void => fail(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.add(fail);
        const done: Done<T> = (error, value) => {
          if (!error) return settle(() => resolve(value as T));
          if (typeof error.code === 'number') return fail(new SftpStatus(error.code, error.message));
          // ssh2 answers what is under way when a channel closes, before it tells of that.
          lose();
          fail(lost);
        };
        try {
          start(sftp, done);
        } catch (error) {
          // ssh2 throws for an extension that the server did not announce.
          fail(new SftpStatus(STATUS.unsupported, (error as Error).message));
        }
      });
    },
    isLost: () => lost !== null,
    end: lose,
  };
}
