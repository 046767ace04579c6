import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Another address of this machine: what listens there has the same ports as the servers behind it. */
const HOST = '127.0.0.2';
const BEHIND = '127.0.0.1';

export interface Break {
  /** Which bytes count: those to the server, or those from it. */
  way: 'up' | 'down';
  /** So many pass. */
  after: number;
  /**
   * What happens then: both sides are reset; the receiver gets a clean end, and the sender a reset; or nothing passes any
   * more, either way.
   */
  how: 'reset' | 'end' | 'silence';
}

export interface TcpGate {
  host: string;
  /** Passes connections to this port of 127.0.0.1 on. Rejects where it is taken here. */
  open(port: number): Promise<void>;
  /** Breaks the next connection that carries so much, and no other; resolves when it did. */
  breakNext(rule: Break): Promise<void>;
  /** Resets all connections, and each new one, until it is called with false. */
  refuse(on: boolean): void;
  /** Lets nothing pass, in connections old and new, until it is called with false: then new ones pass. */
  silence(on: boolean): void;
  /** Bytes a second for each connection and way; null: as fast as it goes. */
  slow(rate: number | null): void;
  /** How many connections there were. */
  accepted(): number;
  stop(): Promise<void>;
}

interface Pair {
  client: Socket;
  server: Socket | null;
  silent: boolean;
}

/** Stands between clients and servers as the network does, with all its faults. */
export async function startTcpGate(): Promise<TcpGate> {
  const listeners: Server[] = [];
  const pairs = new Set<Pair>();
  const sockets = new Set<Socket>();
  let rules: (Break & { done(): void })[] = [];
  let [refusing, silent, accepted] = [false, false, 0];
  let rate: number | null = null;

  const reset = (pair: Pair): void => {
    pair.client.resetAndDestroy();
    pair.server?.resetAndDestroy();
  };
  const hush = (pair: Pair): void => {
    pair.silent = true;
    pair.client.pause();
    pair.server?.pause();
  };

  function carry(pair: Pair, way: Break['way'], from: Socket, to: Socket): void {
    let passed = 0;
    const resume = (): void => {
      if (!pair.silent) from.resume();
    };
    from.on('data', (chunk: Buffer) => {
      if (pair.silent) return;
      const rule = rules.find((one) => one.way === way && passed + chunk.length > one.after);
      if (rule) {
        rules = rules.filter((one) => one !== rule);
        from.pause();
        to.write(chunk.subarray(0, Math.max(0, rule.after - passed)), () => {
          if (rule.how === 'silence') hush(pair);
          else if (rule.how === 'reset') reset(pair);
          else to.end(() => from.resetAndDestroy());
          rule.done();
        });
        return;
      }
      passed += chunk.length;
      const full = !to.write(chunk);
      if (full || rate !== null) from.pause();
      if (full) to.once('drain', resume);
      else if (rate !== null) setTimeout(resume, (chunk.length / rate) * 1000);
    });
    from.on('end', () => {
      if (!pair.silent) to.end();
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      pairs.delete(pair);
      if (!pair.silent && !to.writableEnded) to.destroy();
    });
    sockets.add(from);
  }

  function accept(client: Socket, port: number): void {
    accepted += 1;
    client.on('error', () => undefined);
    if (refusing) return void client.resetAndDestroy();
    const pair: Pair = { client, server: null, silent };
    pairs.add(pair);
    if (silent) {
      sockets.add(client);
      client.pause();
      return;
    }
    const server = createConnection({ host: BEHIND, port, allowHalfOpen: true });
    pair.server = server;
    carry(pair, 'up', client, server);
    carry(pair, 'down', server, client);
  }

  return {
    host: HOST,
    async open(port) {
      const listener = createServer({ allowHalfOpen: true }, (client) => accept(client, port));
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject);
        listener.listen(port, HOST, resolve);
      });
      listeners.push(listener);
    },
    breakNext: (rule) =>
      new Promise((resolve) => {
        rules.push({ ...rule, done: resolve });
      }),
    refuse(on) {
      refusing = on;
      if (on) for (const pair of [...pairs]) reset(pair);
    },
    silence(on) {
      silent = on;
      if (on) for (const pair of pairs) hush(pair);
    },
    slow(wanted) {
      rate = wanted;
    },
    accepted: () => accepted,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(
        listeners.map((one) => new Promise<void>((resolve) => void one.close(() => resolve()))),
      );
    },
  };
}
