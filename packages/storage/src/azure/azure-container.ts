import {
  AnonymousCredential,
  BlobServiceClient,
  type ContainerClient,
  StorageRetryPolicyType,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureDestinationConfig, DestinationSecrets } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';

export interface AzureTimeouts {
  /** Without a byte of an answer that is awaited, in milliseconds. */
  idleMs: number;
  /** For one try at a request, in milliseconds: a block of a slow line must fit. */
  requestMs: number;
  /** Tries at a request, the first included; the library makes them. */
  tries: number;
  /** Before the second one, in milliseconds; it doubles. */
  delayMs: number;
}

export const DEFAULT_AZURE_TIMEOUTS: AzureTimeouts = {
  idleMs: 60_000,
  requestMs: 300_000,
  tries: 5,
  delayMs: 500,
};

export function endpointOf({ account, endpoint }: AzureDestinationConfig): string {
  return (endpoint ?? `https://${account}.blob.core.windows.net`).replace(/\/+$/, '');
}

/** Nothing is connected by it. Never this host's own credentials in place of missing ones. */
export function openContainer(
  config: AzureDestinationConfig,
  { accountKey, sasToken }: DestinationSecrets,
  timeouts: AzureTimeouts,
): ContainerClient {
  if (!accountKey && !sasToken) {
    throw new AppError(
      'DESTINATION_AUTH_FAILED',
      `There is no key or token for the account ${config.account}. Enter its credentials.`,
    );
  }
  const endpoint = endpointOf(config);
  const url = accountKey ? endpoint : `${endpoint}?${sasToken?.replace(/^\?/, '')}`;
  const credential = accountKey
    ? new StorageSharedKeyCredential(config.account, accountKey)
    : new AnonymousCredential();
  const service = new BlobServiceClient(url, credential, {
    retryOptions: {
      retryPolicyType: StorageRetryPolicyType.EXPONENTIAL,
      maxTries: timeouts.tries,
      tryTimeoutInMs: timeouts.requestMs,
      retryDelayInMs: timeouts.delayMs,
      maxRetryDelayInMs: 8000,
    },
  });
  return service.getContainerClient(config.container);
}
