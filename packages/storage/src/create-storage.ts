import type { DestinationSecrets, DestinationTarget } from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import { DEFAULT_AZURE_TIMEOUTS } from './azure/azure-container.ts';
import { createAzureDriver } from './azure/create-azure-driver.ts';
import { DEFAULT_FTP_TIMEOUTS } from './ftp/connect-ftp.ts';
import { createFtpDriver } from './ftp/create-ftp-driver.ts';
import { createLocalDriver } from './local/create-local-driver.ts';
import { DEFAULT_PATIENCE } from './s3/call-decorators.ts';
import { createS3Driver } from './s3/create-s3-driver.ts';
import { DEFAULT_TIMEOUTS, type S3Keys } from './s3/s3-clients.ts';
import { DEFAULT_SFTP_TIMEOUTS } from './sftp/connect-sftp.ts';
import { createSftpDriver } from './sftp/create-sftp-driver.ts';
import type { Storage } from './types.ts';
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

/**
 * The one way to a destination. Nothing is connected or created before the first call. Secrets are those of the
 * destination, opened; null for one that needs none. Throws LOCAL_NOT_ALLOWED, DESTINATION_AUTH_FAILED (no keys).
 */
export function createStorage(
  target: DestinationTarget | StorageTarget,
  secrets: DestinationSecrets | null,
  options: StorageOptions,
): Storage {
  const where = `The destination ${target.name}`;
  switch (target.type) {
    case 'local': {
      if (!options.localAllowed) {
        throw new AppError('LOCAL_NOT_ALLOWED', `${where} is a local folder, and this host allows none.`);
      }
      const allowedRoots = options.localRoots ?? [];
      return withCheck(createLocalDriver({ path: target.config.path, allowedRoots }), where);
    }
    case 's3': {
      const { config } = target;
      const keys = keysOf(secrets, where);
      const driver = createS3Driver({
        ...{ config, keys, timeouts: DEFAULT_TIMEOUTS, patience: DEFAULT_PATIENCE },
        ...(options.logger ? { logger: options.logger } : {}),
      });
      return withCheck(driver, where);
    }
    case 'sftp':
      return withCheck(
        createSftpDriver({
          config: target.config,
          secrets: secrets ?? {},
          timeouts: DEFAULT_SFTP_TIMEOUTS,
        }),
        where,
      );
    case 'ftp':
      return withCheck(
        createFtpDriver({
          config: target.config,
          secrets: secrets ?? {},
          timeouts: DEFAULT_FTP_TIMEOUTS,
        }),
        where,
      );
    case 'azure':
      return withCheck(
        createAzureDriver({
          config: target.config,
          secrets: secrets ?? {},
          timeouts: DEFAULT_AZURE_TIMEOUTS,
        }),
        where,
      );
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
