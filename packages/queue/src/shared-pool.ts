import { EventEmitter } from 'node:events';
import type { PgPool, PgPoolClient } from 'bullmq';
import type pg from 'pg';

/** A guard: should BullMQ ever put values into its texts, they must not pile up in the server. */
const MOST_NAMES = 300;

/**
 * What BullMQ takes for a pool of its own: queries go to the real pool, while every client that BullMQ checks
 * out (one for each queue, to LISTEN on, held for ever) is a view of one shared connection. So a worker of ten
 * queues holds one listening connection, not ten. All queues listen on the same two channels and pick out
 * their own messages.
 *
 * When the shared connection breaks, each view emits `error`; BullMQ then drops its view and connects again,
 * which opens the next shared connection.
 */
export function createSharedPool(pool: pg.Pool): PgPool & { closeListener(): Promise<void> } {
  let current: Promise<Listener> | undefined;

  const open = async (): Promise<Listener> => {
    const client = await pool.connect();
    const listener = createListener(client, () => {
      current = undefined;
    });
    return listener;
  };

  // Every queue of the process puts a listener on it.
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  const names = new Map<string, string>();
  /** BullMQ's texts are a fixed few: Postgres parses and plans each of them once a connection. */
  const nameOf = (text: string): string => {
    const name = names.get(text) ?? `tarfleet_queue_${names.size + 1}`;
    if (names.size < MOST_NAMES) names.set(text, name);
    return names.has(text) ? name : '';
  };
  return Object.assign(emitter, {
    async connect(): Promise<PgPoolClient> {
      if (!current) {
        const opening = open();
        current = opening;
        opening.catch(() => {
          if (current === opening) current = undefined;
        });
      }
      return (await current).view();
    },
    query: (text: string, params?: readonly unknown[]) =>
      // Without parameters it may be several statements, which have no name.
      params ? pool.query({ name: nameOf(text), text, values: [...params] }) : pool.query(text),
    // The pool's owner ends it.
    end: async () => {},
    async closeListener() {
      const listener = await current?.catch(() => undefined);
      listener?.close();
    },
  }) as unknown as PgPool & { closeListener(): Promise<void> };
}

interface Listener {
  view(): PgPoolClient;
  close(): void;
}

function createListener(client: pg.PoolClient, onEnd: () => void): Listener {
  const views = new Set<EventEmitter>();
  let ended = false;
  const finish = (error?: Error): void => {
    if (ended) return;
    ended = true;
    onEnd();
    client.release(true);
    for (const view of [...views]) if (error && view.listenerCount('error') > 0) view.emit('error', error);
    views.clear();
  };
  client.on('notification', (message) => {
    for (const view of views) view.emit('notification', message);
  });
  client.on('error', finish);
  client.on('end', () => finish(new Error('the listening connection ended')));

  let last: Promise<unknown> = Promise.resolve();
  // One after the other: a client takes no second query while one runs.
  const query = (text: string, params?: unknown[]): Promise<unknown> => {
    const result = last.then(() => run(text, params));
    last = result.catch(() => undefined);
    return result;
  };
  const run = async (text: string, params?: unknown[]): Promise<unknown> => {
    try {
      return await client.query(text, params);
    } catch (error) {
      // Without an SQLSTATE it was not the server who refused: the connection is of no more use.
      if (!/^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code))) finish(error as Error);
      throw error;
    }
  };
  return {
    view() {
      const view = new EventEmitter();
      view.setMaxListeners(0);
      views.add(view);
      return Object.assign(view, { query, release: () => views.delete(view) }) as unknown as PgPoolClient;
    },
    close: () => finish(),
  };
}
