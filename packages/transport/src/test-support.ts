/** What the tests of this package share. */
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { LocalTarget, ServerSecrets, SshTarget } from '@tarfleet/contracts';

const run = promisify(execFile);

/** A signal that nobody aborts. */
export const calm = new AbortController().signal;

export function sshTarget(
  server: { host: string; port: number; username: string; fingerprint: string },
  more: Partial<SshTarget> = {},
): SshTarget {
  return {
    id: randomUUID(),
    projectId: 1,
    name: 'box',
    kind: 'ssh',
    pool: 'default',
    host: server.host,
    port: server.port,
    username: server.username,
    hostKey: server.fingerprint,
    become: null,
    secrets: { v: 1, keyId: 'test', enc: '', ct: '' },
    jump: null,
    ...more,
  };
}

export const localTarget: LocalTarget = {
  id: randomUUID(),
  projectId: 1,
  name: 'here',
  kind: 'local',
  pool: 'default',
};

export function keySecrets(privateKey: string, becomePassword?: string): ServerSecrets {
  return {
    auth: { type: 'private_key', private_key: privateKey },
    ...(becomePassword === undefined ? {} : { becomePassword }),
  };
}

export interface TestUser {
  name: string;
  password: string;
  home: string;
  /** Replaces the user's rights; `null` takes them away. */
  allowSudo(rule: string | null): Promise<void>;
  remove(): Promise<void>;
}

/** A real user of this machine with a password, who may use sudo with it. Needs root. */
export async function createTestUser(): Promise<TestUser> {
  if (process.getuid?.() !== 0) throw new Error('These tests make a user of their own: run them as root.');
  const name = `tf${randomBytes(4).toString('hex')}`;
  const password = `pw ${randomBytes(9).toString('base64')} é'"$\\`;
  const sudoers = `/etc/sudoers.d/${name}`;
  await run('useradd', ['--create-home', '--shell', '/bin/bash', name]);
  const chpasswd = run('chpasswd');
  chpasswd.child.stdin?.end(`${name}:${password}\n`);
  await chpasswd;
  const user: TestUser = {
    name,
    password,
    home: `/home/${name}`,
    async allowSudo(rule) {
      if (rule === null) await rm(sudoers, { force: true });
      else await writeFile(sudoers, `${name} ${rule}\n`, { mode: 0o440 });
    },
    async remove() {
      await rm(sudoers, { force: true });
      await run('userdel', ['--force', '--remove', name]).catch((error: { code?: number }) => {
        // 12: the mail spool, which never was, could not be removed.
        if (error.code !== 12) throw error;
      });
    },
  };
  await user.allowSudo('ALL=(ALL:ALL) ALL');
  return user;
}

/** Living processes whose command line holds `text`; this process and zombies are not counted. */
export async function processesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id) || Number(id) === process.pid) continue;
    const line = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(text)) found.push(`${id}: ${line.replaceAll('\0', ' ')}`);
  }
  return found;
}

/** Waits until `check` is true, for at most ten seconds. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await check()) return;
    await sleep(25);
  }
  throw new Error('It did not come true within ten seconds.');
}

/** A number that no other process's command line holds, for `sleep`. */
export function rareSeconds(): string {
  return `3${randomBytes(4).readUInt32BE()}`;
}
