import type { DestinationSecrets, DestinationTarget } from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import { type AzureTimeouts, DEFAULT_AZURE_TIMEOUTS } from './azure/azure-container.ts';
import { createAzureDriver } from './azure/create-azure-driver.ts';
import { DEFAULT_FTP_TIMEOUTS, type FtpTimeouts } from './ftp/connect-ftp.ts';
import { createFtpDriver } from './ftp/create-ftp-driver.ts';
import { createLocalDriver } from './local/create-local-driver.ts';
import { DEFAULT_PATIENCE, type Patience } from './patience.ts';
import { withResumedReads } from './resumed-read.ts';
import { withRetriedCalls } from './retried-calls.ts';
import { createS3Driver } from './s3/create-s3-driver.ts';
import { DEFAULT_TIMEOUTS, type S3Keys, type S3Timeouts } from './s3/s3-clients.ts';
import { DEFAULT_SFTP_TIMEOUTS, type SftpTimeouts } from './sftp/connect-sftp.ts';
import { createSftpDriver } from './sftp/create-sftp-driver.ts';
import type { Driver, Storage } from './types.ts';
import { withCheck } from './with-check.ts';

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** Where to, for whoever opens its secrets otherwise than from a plan. */
export type StorageTarget = Without<DestinationTarget, 'id' | 'secrets'>;

export interface StorageOptions {
  /** Whether local destinations may be used by this process at all. */
  localAllowed: boolean;
  /** Folders inside which local destinations must lie; none means that none may. */
  localRoots?: readonly string[];
  /** For faults that do not change a call's outcome, as an upload that could not be cleaned up. */
  logger?: Logger;
}

/** How long servers are waited for. */
export interface Tuning {
  patience: Patience;
  s3: S3Timeouts;
  sftp: SftpTimeouts;
  ftp: FtpTimeouts;
  azure: AzureTimeouts;
}

const DEFAULT_TUNING: Tuning = {
  patience: DEFAULT_PATIENCE,
  s3: DEFAULT_TIMEOUTS,
  sftp: DEFAULT_SFTP_TIMEOUTS,
  ftp: DEFAULT_FTP_TIMEOUTS,
  azure: DEFAULT_AZURE_TIMEOUTS,
};

/**
 * The one way to a destination. Nothing is connected or created before the first call. Secrets are those of the
 * destination, opened; null for one that needs none. Throws LOCAL_NOT_ALLOWED, DESTINATION_AUTH_FAILED (no keys).
 */
export function createStorage(
  target: DestinationTarget | StorageTarget,
  secrets: DestinationSecrets | null,
  options: StorageOptions,
): Storage {
  return createTunedStorage(target, secrets, options, DEFAULT_TUNING);
}

/** The same for tests, which have less time. */
export function createTunedStorage(
  target: DestinationTarget | StorageTarget,
  secrets: DestinationSecrets | null,
  options: StorageOptions,
  tuning: Tuning,
): Storage {
  const where = `The destination ${target.name}`;
  const driver = driverOf(target, secrets, options, tuning);
  const { patience } = tuning;
  // The others repeat single requests, which is better than to repeat a call of several.
  const repeats = target.type === 'sftp' || target.type === 'ftp';
  const steady = repeats ? withRetriedCalls(driver, patience) : driver;
  return withCheck(withResumedReads(steady, patience), driver, where);
}

function driverOf(
  target: DestinationTarget | StorageTarget,
  secrets: DestinationSecrets | null,
  options: StorageOptions,
  tuning: Tuning,
): Driver {
  const where = `The destination ${target.name}`;
  switch (target.type) {
    case 'local': {
      if (!options.localAllowed) {
        throw new AppError('LOCAL_NOT_ALLOWED', `${where} is a local folder, and this host allows none.`);
      }
      return createLocalDriver({ path: target.config.path, allowedRoots: options.localRoots ?? [] });
    }
    case 's3':
      return createS3Driver({
        ...{ config: target.config, keys: keysOf(secrets, where) },
        ...{ timeouts: tuning.s3, patience: tuning.patience },
        ...(options.logger ? { logger: options.logger } : {}),
      });
    case 'sftp':
      return createSftpDriver({ config: target.config, secrets: secrets ?? {}, timeouts: tuning.sftp });
    case 'ftp':
      return createFtpDriver({ config: target.config, secrets: secrets ?? {}, timeouts: tuning.ftp });
    case 'azure':
      return createAzureDriver({
        ...{ config: target.config, secrets: secrets ?? {} },
        ...{ timeouts: tuning.azure, patience: tuning.patience },
      });
  }
}

/** Never this host's own keys in place of missing ones: they may reach what the destination's owner may not. */
function keysOf(secrets: DestinationSecrets | null, where: string): S3Keys {
  const { accessKeyId, secretAccessKey, sessionToken } = secrets ?? {};
  if (!accessKeyId || !secretAccessKey) {
    throw new AppError('DESTINATION_AUTH_FAILED', `${where} has no access keys. Enter its credentials.`);
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
