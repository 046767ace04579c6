/**
 * A signal that aborts after so many milliseconds, with a TimeoutError. Unlike the one of `AbortSignal.timeout` it does so
 * also when all that waits for it is an `AbortSignal.any`: that one holds its sources weakly, and Node collects a timeout
 * that nobody else holds, so that the limit never comes (seen with Node 20.20). The timer keeps no process running.
 */
export function timeLimit(ms: number): AbortSignal {
  const controller = new AbortController();
  setTimeout(
    () => controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')),
    ms,
  ).unref();
  return controller.signal;
}
