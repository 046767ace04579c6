import type { SftpSession } from './sftp-session.ts';

export interface SftpLink {
  /** The session that stands, or a new one. */
  session(signal: AbortSignal): Promise<SftpSession>;
  close(): void;
}

/**
 * One connection for all calls, made when it is needed and again when it is lost: SFTP numbers its requests, so that
 * many share a channel. Who waits for it may give up; the connection is then there for the next.
 */
export function createSftpLink(open: (signal: AbortSignal) => Promise<SftpSession>): SftpLink {
  const closing = new AbortController();
  let current: Promise<SftpSession> | null = null;
  let standing: SftpSession | null = null;

  function connect(): Promise<SftpSession> {
    const opening = open(closing.signal).then(
      (session) => {
        standing = session;
        return session;
      },
      (error: unknown) => {
        current = null;
        throw error;
      },
    );
    // Everybody who waited may have left.
    opening.catch(() => undefined);
    current = opening;
    return opening;
  }

  return {
    session(signal) {
      signal.throwIfAborted();
      if (standing?.isLost()) {
        standing = null;
        current = null;
      }
      return orAborted(current ?? connect(), signal);
    },
    close() {
      closing.abort(new Error('the destination was closed'));
      standing?.end();
    },
  };
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
