/**
 * The generator, whose `return` closes `source` as well. By itself it would not, when it is left before its first
 * item: nothing of its body runs then, `finally` included.
 */
export function thenClosed<T>(
  items: AsyncGenerator<T>,
  source: { return(value: undefined): Promise<unknown> },
): AsyncGenerator<T> {
  const leave = items.return.bind(items);
  items.return = async (value) => {
    try {
      return await leave(value);
    } finally {
      await source.return(undefined);
    }
  };
  return items;
}
