import { withRetry } from '@tarfleet/kernel';
import type { Patience } from '../patience.ts';
import type { S3Calls } from './s3-calls.ts';
import { type S3Place, translateS3Error } from './s3-errors.ts';

type AnyCall = (input: never, signal: AbortSignal) => Promise<unknown>;

/** Every error of a call as an AppError; an abort as the signal's reason. */
export function withTranslatedErrors(calls: S3Calls, place: S3Place): S3Calls {
  return decorate(calls, (call) => async (input, signal) => {
    try {
      return await call(input, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw translateS3Error(error, place);
    }
  });
}

/**
 * Calls that may be made again after an answer was lost, because the second time changes nothing. Not here:
 * what starts an upload (each time another one), what completes one, and what takes a free key; a lost answer
 * to those must be looked into first.
 */
const REPEATABLE: readonly (keyof S3Calls)[] = [
  'putObject',
  'getObject',
  'headObject',
  'headBucket',
  'deleteObject',
  'listObjects',
  'uploadPart',
  'abortUpload',
  'listParts',
  'listUploads',
];

export function withRetries(calls: S3Calls, patience: Patience): S3Calls {
  return decorate(calls, (call, name) => {
    if (!REPEATABLE.includes(name)) return call;
    return (input, signal) => withRetry(() => call(input, signal), { ...patience, signal });
  });
}

function decorate(calls: S3Calls, wrap: (call: AnyCall, name: keyof S3Calls) => AnyCall): S3Calls {
  const wrapped = Object.entries(calls).map(([name, call]) => [
    name,
    wrap(call as AnyCall, name as keyof S3Calls),
  ]);
  return Object.fromEntries(wrapped) as S3Calls;
}
