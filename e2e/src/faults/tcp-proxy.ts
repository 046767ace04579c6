import type { AddressInfo } from 'node:net';
import { createConnection, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  host: string;
  port: number;
  /** From now on new connections wait before they are passed on. */
  hold(): void;
  /** How many wait. */
  waiting(): number;
  release(): void;
  /** Resets every connection: on both sides, or on the client's alone, so that the server never hears of it. */
  cut(sides: 'both' | 'client'): void;
  /** Resets every connection, and each new one, until it is called with false. */
  refuse(on: boolean): void;
  stop(): Promise<void>;
}

interface Pair {
  client: Socket;
  server: Socket | null;
}

/** Stands between a client and its server, as the network does. */
export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const orphans = new Set<Socket>();
  let held: Pair[] | null = null;
  let refusing = false;
  const join = (pair: Pair): void => {
    if (pair.client.destroyed) return;
    const server = createConnection({ host: target.host, port: target.port });
    pair.server = server;
    pair.client.pipe(server).pipe(pair.client);
    server.on('error', () => pair.client.resetAndDestroy());
    server.on('close', () => pair.client.destroy());
  };
  const listener = createServer((client) => {
    if (refusing) {
      client.resetAndDestroy();
      return;
    }
    const pair: Pair = { client, server: null };
    pairs.add(pair);
    client.on('error', () => undefined);
    client.on('close', () => {
      pairs.delete(pair);
      if (pair.server && !orphans.has(pair.server)) pair.server.destroy();
    });
    if (held) held.push(pair);
    else join(pair);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const release = (): void => {
    const waiting = held ?? [];
    held = null;
    waiting.forEach(join);
  };
  const cut = (sides: 'both' | 'client'): void => {
    for (const { client, server } of [...pairs]) {
      if (server && sides === 'client') {
        orphans.add(server);
        client.unpipe(server);
        server.unpipe(client);
        // Read on, as a network that swallows everything.
        server.resume();
        server.on('error', () => undefined);
      } else server?.resetAndDestroy();
      client.resetAndDestroy();
    }
  };
  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    hold() {
      held ??= [];
    },
    waiting: () => held?.filter(({ client }) => !client.destroyed).length ?? 0,
    release,
    cut,
    refuse(on) {
      refusing = on;
      if (on) cut('both');
    },
    async stop() {
      release();
      for (const one of orphans) one.destroy();
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const { client } of pairs) client.destroy();
      await closed;
    },
  };
}
