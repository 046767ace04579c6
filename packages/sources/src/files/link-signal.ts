/** A signal that aborts with its parent, or by itself; `release` must be called so that the parent forgets it. */
export interface LinkedSignal {
  signal: AbortSignal;
  abort(reason: unknown): void;
  release(): void;
}

export function linkSignal(parent: AbortSignal): LinkedSignal {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => parent.removeEventListener('abort', follow),
  };
}
