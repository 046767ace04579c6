/** What the tests of this package share: real sessions, real users. */
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ServiceTarget } from '@tarfleet/contracts';
import { createLogger } from '@tarfleet/kernel';
import type { RunningSshd } from '@tarfleet/testbed';
import { createTransport, type Session } from '@tarfleet/transport';

const run = promisify(execFile);

export const logger = createLogger({ level: 'fatal', process: 'test' });
const transport = createTransport({ logger, localRoots: ['/'], localAllowed: true });
const base = { id: randomUUID(), projectId: 1, name: 'box', pool: 'default' };

export function calm(): AbortSignal {
  return new AbortController().signal;
}

export function localSession(): Promise<Session> {
  return transport.connect({
    target: { ...base, kind: 'local' },
    openSecrets: async () => ({ auth: { type: 'none' } }),
    signal: calm(),
  });
}

export function sshSession(sshd: RunningSshd, username = sshd.username): Promise<Session> {
  return transport.connect({
    target: {
      ...base,
      kind: 'ssh',
      host: sshd.host,
      port: sshd.port,
      username,
      hostKey: sshd.fingerprint,
      become: null,
      secrets: { v: 1, keyId: 'test', enc: '', ct: '' },
      jump: null,
    },
    openSecrets: async () => ({ auth: { type: 'private_key', private_key: sshd.privateKey } }),
    signal: calm(),
  });
}

export function service(
  dataPaths: string[],
  exclude: string[] = [],
  configPaths: string[] = [],
): ServiceTarget {
  return {
    id: randomUUID(),
    name: 'web',
    type: 'files',
    component: 'files',
    configPaths,
    dataPaths,
    exclude,
  };
}

export interface TestUser {
  name: string;
  uid: number;
  remove(): Promise<void>;
}

/** A real user without any rights. Needs root. */
export async function createTestUser(): Promise<TestUser> {
  if (process.getuid?.() !== 0) throw new Error('These tests make a user of their own: run them as root.');
  const name = `tf${randomBytes(4).toString('hex')}`;
  // `*`: no password fits, and yet sshd does not take the account for a locked one.
  await run('useradd', ['--create-home', '--shell', '/bin/sh', '--password', '*', name]);
  const { stdout } = await run('id', ['-u', name]);
  return {
    name,
    uid: Number(stdout),
    async remove() {
      await run('userdel', ['--force', '--remove', name]).catch((error: { code?: number }) => {
        // 12: the mail spool, which never was, could not be removed.
        if (error.code !== 12) throw error;
      });
    },
  };
}

/** Ids of living processes whose command line holds `text`; this one not counted. */
export async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id) || Number(id) === process.pid) continue;
    const line = await readFile(`/proc/${id}/cmdline`, 'latin1').catch(() => '');
    if (line.includes(text)) found.push(Number(id));
  }
  return found;
}

/** Waits until `check` is true; the test's own time limit ends it. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await sleep(20);
}
