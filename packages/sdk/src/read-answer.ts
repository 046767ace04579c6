import { readRetryAfter } from './retry.ts';
import { type ErrorCode, TarfleetError } from './tarfleet-error.ts';

/** The error that an answer is. Reads the whole answer. */
export async function readError(response: Response): Promise<TarfleetError> {
  const { status } = response;
  const common = {
    status,
    requestId: response.headers.get('x-request-id'),
    retryAfterMs: readRetryAfter(response.headers.get('retry-after')),
  };
  if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    await response.body?.cancel();
    return new TarfleetError({
      ...common,
      ...{ code: 'BAD_ANSWER', message: 'The address was redirected: give the final one as baseUrl.' },
    });
  }
  const told = parse(await response.text());
  if (isTold(told)) {
    const { code, message, details } = told;
    return new TarfleetError({ ...common, code: code as ErrorCode, message, details });
  }
  return new TarfleetError({
    ...common,
    ...{ code: 'BAD_ANSWER', message: `Something that is not the API answered with the status ${status}.` },
  });
}

/** BAD_ANSWER for what is no JSON. */
export async function readJson<T>(response: Response): Promise<T> {
  const value = parse(await response.text());
  if (typeof value === 'object' && value !== null) return value as T;
  throw new TarfleetError({
    ...{ code: 'BAD_ANSWER', status: response.status, requestId: response.headers.get('x-request-id') },
    message: 'The answer is not the API’s: it is no JSON. Is baseUrl its address?',
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The caller says what that means.
  }
}

function isTold(value: unknown): value is { code: string; message: string; details?: unknown } {
  if (typeof value !== 'object' || value === null || !('code' in value) || !('message' in value))
    return false;
  return typeof value.code === 'string' && typeof value.message === 'string';
}
