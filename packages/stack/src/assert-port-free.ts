import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Throws, with what to do, when nothing can listen there; waits up to `patienceMs` for a port to become free. */
export async function assertPortFree(host: string, port: number, patienceMs: number): Promise<void> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const fault = await tryListen(host, port);
    if (fault === null) return;
    if (fault.code !== 'EADDRINUSE' || Date.now() >= end) throw explained(fault, host, port);
    await sleep(200);
  }
}

async function tryListen(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  const server = createServer();
  try {
    server.listen({ host, port });
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return null;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

function explained(fault: NodeJS.ErrnoException, host: string, port: number): Error {
  const options = { cause: fault };
  if (fault.code === 'EADDRINUSE') {
    return new Error(
      `Port ${port} of ${host} is in use by another program. Stop that one, or choose another port (PORT; 0 takes a free one).`,
      options,
    );
  }
  if (fault.code === 'EACCES') {
    return new Error(`This user may not listen on port ${port}. Choose one above 1023 (PORT).`, options);
  }
  return new Error(
    `Cannot listen on ${host}, port ${port} (${fault.code ?? fault.message}). HOST must be an address of this machine.`,
    options,
  );
}
