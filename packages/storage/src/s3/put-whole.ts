import { AppError, type Logger } from '@tarfleet/kernel';
import { type Expected, md5, whatIsThere } from './commit.ts';
import type { S3Calls } from './s3-calls.ts';
import { faultOf } from './s3-errors.ts';
import { cleanUp } from './upload-cleanup.ts';

/** Requests that must not stop halfway, since nobody could tell then what they have done. Each has its time limits. */
const uninterrupted = new AbortController().signal;

interface WholeObject {
  calls: S3Calls;
  key: string;
  content: Buffer;
}

/** Stores a small object in one request, in place of what is there. */
export async function putWhole(
  { calls, key, content }: WholeObject,
  signal: AbortSignal,
  logger: Logger | undefined,
): Promise<void> {
  const { input, expected } = describe(key, content);
  const before = await whatIsThere(calls, expected, signal);
  try {
    await calls.putObject(input, signal);
  } catch (error) {
    if (signal.aborted) {
      // The server may have it whole without our knowing. What was there before is never removed.
      await cleanUp(
        async (own) => {
          const left = before === 'none' && (await whatIsThere(calls, expected, own)) === 'ours';
          if (left) await calls.deleteObject({ Key: key }, own);
        },
        key,
        logger,
      );
      throw error;
    }
    const lostAnswer = error instanceof AppError && error.retryable;
    if (!lostAnswer || (await whatIsThere(calls, expected, signal)) !== 'ours') throw error;
  }
}

/** Stores a small object only if its key is free, else OBJECT_EXISTS. Once it is sent it is not interrupted. */
export async function createWhole({ calls, key, content }: WholeObject, signal: AbortSignal): Promise<void> {
  const { input, expected } = describe(key, content);
  const taken = new AppError('OBJECT_EXISTS', `The object ${key} is already in the destination.`);
  // Some servers take no notice of the condition below; then this at least finds what is there already.
  if ((await whatIsThere(calls, expected, signal)) !== 'none') throw taken;
  try {
    await calls.createObject(input, uninterrupted);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (faultOf(error).status === 501) {
      // A server without conditional writes: the look above is all there is, and two writers may meet here.
      await calls.putObject(input, uninterrupted);
      return;
    }
    if (!error.retryable) throw error;
    const found = await whatIsThere(calls, expected, uninterrupted);
    if (found === 'other') throw taken;
    if (found === 'none') throw error;
  }
}

function describe(key: string, content: Buffer) {
  const digest = md5(content);
  const input = {
    Key: key,
    Body: content,
    ContentLength: content.length,
    ContentMD5: digest.toString('base64'),
  };
  const expected: Expected = { key, bytes: content.length, etag: digest.toString('hex') };
  return { input, expected };
}
