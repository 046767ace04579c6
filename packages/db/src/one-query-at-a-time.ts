import type { PrismaPg } from '@prisma/adapter-pg';

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>;
type Transaction = Awaited<ReturnType<Adapter['startTransaction']>>;

/**
 * Prisma asks for all relations of an `include` at once. In a transaction they share one connection, which takes a
 * second query while one runs only for as long as pg has a queue of its own; it says that it is going to lose it. So
 * a transaction's queries wait here for each other. Changes `factory` and gives it back.
 */
export function oneQueryAtATime(factory: PrismaPg): PrismaPg {
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    const start = adapter.startTransaction.bind(adapter);
    adapter.startTransaction = async (...options) => inTurn(await start(...options));
    return adapter;
  };
  return factory;
}

function inTurn(transaction: Transaction): Transaction {
  let last: Promise<unknown> = Promise.resolve();
  const wait = <T>(call: () => Promise<T>): Promise<T> => {
    const result = last.then(call);
    // What fails is for whoever asked; the next one waits for its end alone.
    last = result.catch(() => undefined);
    return result;
  };
  const query = transaction.queryRaw.bind(transaction);
  const execute = transaction.executeRaw.bind(transaction);
  transaction.queryRaw = (asked) => wait(() => query(asked));
  transaction.executeRaw = (asked) => wait(() => execute(asked));
  return transaction;
}
