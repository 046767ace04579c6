/** Runs actions one after the other: who comes first is served first, whatever becomes of those before. */
export function createTurn(): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const result = last.then(action);
    // Its fault is for whoever asked for it, not for the next in turn.
    last = result.catch(() => undefined);
    return result;
  };
}
