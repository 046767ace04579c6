/** What the tests of this package share: a real sshd whose PATH begins with stand-ins, and sessions on it. */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HealthCheck, ServiceRun, ServiceRunner } from '@tarfleet/contracts';
import { createLogger } from '@tarfleet/kernel';
import { type RunningSshd, startSshd } from '@tarfleet/testbed';
import { createTransport, type Session } from '@tarfleet/transport';
import { createServiceControl } from '../create-service-control.ts';
import type { ServiceHandle } from '../types.ts';

/** A signal that nobody aborts. */
export const calm = new AbortController().signal;

const transport = createTransport({
  logger: createLogger({ level: 'silent', process: 'test' }),
  localAllowed: false,
  localRoots: [],
});

/** Short, so that tests are; the states that stand-ins go through take a step at each look. */
export const control = createServiceControl({ pollMs: 20, settleMs: 60 });

export interface TestServer {
  sshd: RunningSshd;
  session: Session;
  dir: string;
  /** Where its commands have their temporary files. */
  temporary: string;
  /** What the stand-ins answer from now on; forgets which commands were run. */
  set(world: object): Promise<void>;
  /** The command lines of the stand-ins since then. */
  commands(): Promise<string[][]>;
  of(
    runner: ServiceRunner,
    more?: Partial<ServiceRun>,
    guard?: (argv: readonly string[]) => string[],
  ): ServiceHandle;
  stop(): Promise<void>;
}

export function connect(sshd: RunningSshd): Promise<Session> {
  return transport.connect({
    target: {
      ...{ id: randomUUID(), projectId: 1, name: 'box', kind: 'ssh', pool: 'default' },
      ...{ host: sshd.host, port: sshd.port, username: sshd.username, hostKey: sshd.fingerprint },
      ...{ become: null, secrets: { v: 1, keyId: 'test', enc: '', ct: '' }, jump: null },
    },
    openSecrets: async () => ({ auth: { type: 'private_key', private_key: sshd.privateKey } }),
    signal: calm,
  });
}

export async function startServer(programs: readonly string[] = []): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-services-'));
  await chmod(dir, 0o755);
  const file = join(dir, 'world.json');
  for (const name of programs) {
    const script = `#!/bin/sh\nexec '${process.execPath}' '${join(__dirname, 'stand-in.mjs')}' '${file}' ${name} "$@"\n`;
    await writeFile(join(dir, name), script, { mode: 0o755 });
  }
  // Temporary files of this server alone, which a test can count.
  const temporary = join(dir, 'temporary');
  await mkdir(temporary);
  await chmod(temporary, 0o1777);
  const env = { PATH: `${dir}:/usr/sbin:/usr/bin:/sbin:/bin`, TMPDIR: temporary };
  const sshd = await startSshd({ env });
  const session = await connect(sshd);
  return {
    sshd,
    session,
    dir,
    temporary,
    async set(world) {
      await writeFile(file, JSON.stringify(world));
      await writeFile(`${file}.log`, '');
    },
    async commands() {
      const log = await readFile(`${file}.log`, 'utf8');
      return log
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as string[]);
    },
    of: (runner, more = {}, guard) =>
      control.of(guard ? { session, guard } : { session }, {
        ...{ id: randomUUID(), name: 'shop', runner, healthCheck: null },
        ...more,
      }),
    async stop() {
      await session.close();
      await sshd.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const PACE = { timeoutSeconds: 5, intervalSeconds: 0.02, retries: 3, startPeriodSeconds: 0 };
type WithoutPace<C> = C extends unknown ? Omit<C, keyof typeof PACE> : never;

/** A health check that tries three times, almost without waiting. */
export function quick(check: WithoutPace<HealthCheck>, pace: Partial<typeof PACE> = {}): HealthCheck {
  return { ...check, ...PACE, ...pace };
}
