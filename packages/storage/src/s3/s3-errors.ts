import { AppError, type AppErrorOptions, errnoOf } from '@tarfleet/kernel';

export interface S3Place {
  bucket: string;
  /** The endpoint's URL, or the region's name where it is Amazon's own. */
  endpoint: string;
}

interface SdkError {
  name?: unknown;
  Code?: unknown;
  message?: unknown;
  $metadata?: { httpStatusCode?: unknown };
}

const KEY_PROBLEMS = [
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidToken',
  'ExpiredToken',
  'AuthorizationHeaderMalformed',
];
const FULL = ['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage', 'ENOSPC'];
const WORTH_ANOTHER_TRY = [
  'SlowDown',
  'Throttling',
  'TooManyRequests',
  'RequestTimeout',
  'BadDigest',
  'OperationAborted',
  'ConditionalRequestConflict',
  'InternalError',
  'ServiceUnavailable',
];
/** A certificate that does not fit will not fit later. */
const CERTIFICATE = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/;

/** The server's own word for what went wrong (`NoSuchBucket`), as far as it gave one. */
function codeOf(error: unknown): string {
  const { Code, name } = (error ?? {}) as SdkError;
  return typeof Code === 'string' ? Code : typeof name === 'string' ? name : 'Unknown';
}

/** The HTTP status of the answer; undefined when there was none. */
function statusOf(error: unknown): number | undefined {
  const status = (error as SdkError | null)?.$metadata?.httpStatusCode;
  return typeof status === 'number' ? status : undefined;
}

/** What the server said, kept in an AppError's details. */
interface S3Fault {
  code: string;
  status: number;
}

/** The server's word and HTTP status behind a translated error. */
export function faultOf(error: unknown): Partial<S3Fault> {
  const details = error instanceof AppError ? error.details : undefined;
  return typeof details === 'object' && details !== null ? (details as Partial<S3Fault>) : {};
}

/**
 * The library's error as an AppError that names bucket and endpoint. The library's errors carry requests, signed
 * with the keys, so the cause is a plain error with their name and text alone.
 */
export function translateS3Error(error: unknown, { bucket, endpoint }: S3Place): AppError {
  if (error instanceof AppError) return error;
  const code = codeOf(error);
  const status = statusOf(error);
  const where = `The bucket ${bucket} at ${endpoint}`;
  const make = (
    to: ConstructorParameters<typeof AppError>[0],
    text: string,
    options: AppErrorOptions = {},
  ): AppError => {
    const details = status === undefined ? undefined : ({ code, status } satisfies S3Fault);
    return new AppError(to, text, { ...options, details, cause: plain(error) });
  };

  if (status === undefined) return networkFault(error, endpoint, make);
  if (FULL.includes(code) || status === 507) {
    return make(
      'STORAGE_FULL',
      `${where} is full or over its quota (${code}). Free space, or raise the quota.`,
    );
  }
  if (code === 'NoSuchBucket') {
    return make('DESTINATION_NOT_FOUND', `${where} does not exist. Create it, or correct the destination.`);
  }
  if (
    status === 301 ||
    status === 307 ||
    code === 'PermanentRedirect' ||
    code === 'IllegalLocationConstraint'
  ) {
    return make(
      'DESTINATION_NOT_FOUND',
      `${where} lies in another region or at another endpoint. Correct the destination.`,
    );
  }
  if (code === 'RequestTimeTooSkewed') {
    return make(
      'DESTINATION_AUTH_FAILED',
      `${where} refuses requests because this host's clock is wrong. Set the clock.`,
    );
  }
  if (KEY_PROBLEMS.includes(code) || status === 401 || status === 403) {
    const rights = KEY_PROBLEMS.includes(code) ? '' : ', or lack a right that this needs';
    return make(
      'DESTINATION_AUTH_FAILED',
      `${where} refuses the access keys (${code}): they, or the region, are wrong${rights}. Enter the credentials again.`,
    );
  }
  if (status === 412) return make('OBJECT_EXISTS', `${where} has an object of that key already.`);
  if (status === 404) return make('OBJECT_NOT_FOUND', `${where} does not have the object (${code}).`);
  const retryable = status >= 500 ? status !== 501 : status === 429 || WORTH_ANOTHER_TRY.includes(code);
  return make('STORAGE_FAILED', `${where} answered with ${code} (HTTP ${status}).`, { retryable });
}

function networkFault(
  error: unknown,
  endpoint: string,
  make: (
    to: 'DESTINATION_UNREACHABLE' | 'STORAGE_FAILED',
    text: string,
    options?: AppErrorOptions,
  ) => AppError,
): AppError {
  const errno = errnoOf(error);
  const code = codeOf(error);
  if (errno !== undefined && CERTIFICATE.test(errno)) {
    return make(
      'DESTINATION_UNREACHABLE',
      `${endpoint} shows a certificate that is not trusted here (${errno}).`,
    );
  }
  if (errno !== undefined || code === 'TimeoutError') {
    const what =
      code === 'TimeoutError' ? 'did not answer in time' : 'cannot be reached, or cut the connection';
    return make(
      'DESTINATION_UNREACHABLE',
      `${endpoint} ${what} (${errno ?? code}). Is the endpoint right, and up?`,
      {
        retryable: true,
      },
    );
  }
  return make(
    'STORAGE_FAILED',
    `${endpoint} gave an answer that is not S3's (${code}). Is it an S3 endpoint?`,
  );
}

function plain(error: unknown): Error {
  const message = (error as SdkError | null)?.message;
  return new Error(`${codeOf(error)}: ${typeof message === 'string' ? message : 'no message'}`);
}
