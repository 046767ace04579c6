/** What Azure and its library report, as AppErrors. */
import { RestError } from '@azure/storage-blob';
import { AppError, type AppErrorOptions } from '@tarfleet/kernel';

export interface AzurePlace {
  container: string;
  endpoint: string;
}

/** A certificate that does not fit will not fit later. */
const CERTIFICATE = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/;
const FULL = /quota|capacity|InsufficientStorage|AccountLimit/i;

function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

/** Azure's own word (`BlobNotFound`), or the network's (`ECONNRESET`). */
function codeOf(error: unknown): string {
  return error instanceof RestError ? (error.code ?? 'Unknown') : 'Unknown';
}

/** The library's errors carry requests, signed, so the cause is a plain error with their code and status alone. */
export function translateAzure(error: unknown, { container, endpoint }: AzurePlace): AppError {
  if (error instanceof AppError) return error;
  const [status, code] = [statusOf(error), codeOf(error)];
  const where = `The container ${container} at ${endpoint}`;
  const cause = new Error(`${code}: HTTP ${status ?? 'none'}`);
  const make = (
    to: ConstructorParameters<typeof AppError>[0],
    text: string,
    options: AppErrorOptions = {},
  ): AppError => new AppError(to, `${where} ${text}`, { ...options, cause });
  if (status === undefined) {
    if (CERTIFICATE.test(code)) {
      return make('DESTINATION_UNREACHABLE', `shows a certificate that is not trusted here (${code}).`);
    }
    return make(
      'DESTINATION_UNREACHABLE',
      `cannot be reached, or cut the connection (${code}). Is the endpoint right, and up?`,
      {
        retryable: true,
      },
    );
  }
  if (status === 507 || FULL.test(code)) {
    return make('STORAGE_FULL', `is full or over its quota (${code}). Free space, or raise the quota.`);
  }
  if (code === 'InvalidBlockList') {
    return make(
      'STORAGE_FAILED',
      'lost the blocks of an upload: another writer of the same object was done first, or a sweep took them.',
      { retryable: true },
    );
  }
  if (code === 'ContainerNotFound' || code === 'ContainerBeingDeleted' || code === 'ResourceNotFound') {
    return make('DESTINATION_NOT_FOUND', 'does not exist. Create it, or correct the destination.');
  }
  if (/Immutable|LegalHold|LeaseIdMissing/i.test(code)) {
    return make('DESTINATION_READ_ONLY', `does not let objects be changed (${code}).`);
  }
  if (status === 401 || status === 403) {
    return make(
      'DESTINATION_AUTH_FAILED',
      `refuses the account key or token, or it lacks a right (${code}). Enter the credentials again.`,
    );
  }
  if (code === 'BlobAlreadyExists' || status === 412)
    return make('OBJECT_EXISTS', 'has an object of that key already.');
  if (status === 404) return make('OBJECT_NOT_FOUND', `does not have the object (${code}).`);
  return make('STORAGE_FAILED', `answered with ${code} (HTTP ${status}).`, {
    retryable: status >= 500 || status === 408 || status === 429,
  });
}
