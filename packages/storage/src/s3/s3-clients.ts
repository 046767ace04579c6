import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3DestinationConfig } from '@tarfleet/contracts';

export interface S3Timeouts {
  /** To connect, in milliseconds. */
  connectMs: number;
  /** Without a byte either way, while one is awaited, in milliseconds. */
  idleMs: number;
}

export const DEFAULT_TIMEOUTS: S3Timeouts = { connectMs: 10_000, idleMs: 60_000 };

export interface S3Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/**
 * Two clients with the same settings. Downloads have no limit on a silent socket, for it is silent too while
 * our own reader is busy elsewhere: `downloadStream` counts the time only while it waits for the server.
 */
export interface S3Clients {
  requests: S3Client;
  downloads: S3Client;
  close(): void;
}

export function createS3Clients(config: S3DestinationConfig, keys: S3Keys, timeouts: S3Timeouts): S3Clients {
  const settings: S3ClientConfig = {
    region: config.region,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    // Servers of one's own seldom have a host name for each bucket.
    forcePathStyle: config.forcePathStyle ?? config.endpoint !== undefined,
    // Given here, so that the library never looks for keys in this host's environment.
    credentials: { ...keys },
    // Newer checksum headers are refused by many servers; Content-MD5 and our own SHA-256 do their work.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // With the header each upload would take a new connection.
    expectContinueHeader: false,
  };
  const connectionTimeout = timeouts.connectMs;
  const requests = new S3Client({
    ...settings,
    requestHandler: { connectionTimeout, socketTimeout: timeouts.idleMs },
  });
  const downloads = new S3Client({
    ...settings,
    requestHandler: {
      connectionTimeout,
      socketTimeout: 0,
      // Until the head of the answer is there.
      requestTimeout: timeouts.idleMs,
      throwOnRequestTimeout: true,
    },
  });
  for (const client of [requests, downloads]) {
    // Another try is a decorator's matter. The library's own step is replaced, not only told to try once, since
    // it may also wrap an error and so hide the network's code. Other steps are placed by its name.
    const tryOnce = {
      name: 'retryMiddleware',
      step: 'finalizeRequest',
      priority: 'high',
      override: true,
    } as const;
    client.middlewareStack.add((next) => (args) => next(args), tryOnce);
  }
  return {
    requests,
    downloads,
    close() {
      requests.destroy();
      downloads.destroy();
    },
  };
}
