import {
  AnonymousCredential,
  BlobServiceClient,
  type ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureDestinationConfig, DestinationSecrets } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';

export interface AzureTimeouts {
  /** Without an answer, or the next byte of one, in milliseconds. */
  idleMs: number;
  /** For one try at a request that carries a block, in milliseconds: a slow line must have the time for it. */
  blockMs: number;
}

export const DEFAULT_AZURE_TIMEOUTS: AzureTimeouts = {
  idleMs: 60_000,
  blockMs: 300_000,
};

export function endpointOf({ account, endpoint }: AzureDestinationConfig): string {
  return (endpoint ?? `https://${account}.blob.core.windows.net`).replace(/\/+$/, '');
}

/** Nothing is connected by it. Never this host's own credentials in place of missing ones. */
export function openContainer(
  config: AzureDestinationConfig,
  { accountKey, sasToken }: DestinationSecrets,
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
  // Another try is a decorator's matter.
  const service = new BlobServiceClient(url, credential, { retryOptions: { maxTries: 1 } });
  return service.getContainerClient(config.container);
}
