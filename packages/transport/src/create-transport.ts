import { AppError, type Logger } from '@tarfleet/kernel';
import { createSession, type KnownCapabilities } from './create-session.ts';
import { createLocalSession } from './local/local-session.ts';
import { connectSsh } from './ssh/connect-ssh.ts';
import type { Transport } from './types.ts';

export interface TransportOptions {
  logger: Logger;
  /** Folders that local servers may touch; callers check paths with `assertWithinRoots`. Empty allows none. */
  localRoots: readonly string[];
  /** Whether this worker may act on its own machine at all. */
  localAllowed: boolean;
  /** Until a host has let us in, in milliseconds; default 20 000. A jump host has as long for itself. */
  connectTimeoutMs?: number;
  /** Between two signs of life, in milliseconds; after three unanswered the connection is lost. Default 15 000. */
  keepaliveMs?: number;
}

/** Sessions on servers, over ssh and on this machine. Holds nothing open itself: each session is the caller's to close. */
export function createTransport(options: TransportOptions): Transport {
  const { logger, connectTimeoutMs = 20_000, keepaliveMs = 15_000 } = options;
  const ofThisMachine: KnownCapabilities = { found: null, at: 0 };
  return {
    async connect({ target, ...request }) {
      request.signal.throwIfAborted();
      if (target.kind === 'ssh')
        return connectSsh(target, request, { logger, connectTimeoutMs, keepaliveMs });
      if (!options.localAllowed || options.localRoots.length === 0) {
        throw new AppError(
          'LOCAL_NOT_ALLOWED',
          `This worker does not act on its own machine (server ${target.name}): allow local servers and their folders in its environment, or reach the machine over ssh.`,
        );
      }
      return createSession(createLocalSession(), null, ofThisMachine);
    },
  };
}
