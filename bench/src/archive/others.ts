import { execFile, spawn } from 'node:child_process';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findTool } from '@tarfleet/testbed';

const run = promisify(execFile);
const PACKAGES = { pigz: 'pigz', openssl: 'openssl', restic: 'restic', borg: 'borgbackup' } as const;

/** Installs the programs we are measured against, as root on Debian; elsewhere says what to install. */
export async function requireOthers(): Promise<void> {
  const missing: string[] = [];
  for (const [tool, name] of Object.entries(PACKAGES)) if (!(await findTool(tool))) missing.push(name);
  if (missing.length === 0) return;
  const apt = await findTool('apt-get');
  if (!apt || process.getuid?.() !== 0) throw new Error(`Install these first: ${missing.join(', ')}.`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run(apt, ['update', '-qq'], { env });
  await run(apt, ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
    env,
    maxBuffer: 1 << 26,
  });
}

/** Seconds that a command took; rejects with what it said when it fails. */
export async function timed(
  command: string,
  args: string[],
  env: Record<string, string> = {},
  cwd = '/',
): Promise<number> {
  const began = performance.now();
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${said}`);
  return (performance.now() - began) / 1000;
}

/** `tar | pigz -6 | openssl`, every core. Gives seconds and the bytes before encryption. */
export async function pigz(dir: string, out: string): Promise<{ seconds: number; bytes: number }> {
  const key = `${out}.key`;
  await writeFile(key, 'a passphrase for the bench\n');
  const script = `set -o pipefail; tar -C / -cf - "\${1#/}" | pigz -6 | openssl enc -aes-256-ctr -pbkdf2 -pass "file:$3" -out "$2"`;
  const seconds = await timed('bash', ['-c', script, 'bash', dir, out, key]);
  // Counter mode adds nothing but a salt of 16 bytes.
  return { seconds, bytes: (await stat(out)).size - 16 };
}

/** A repository of restic's, encrypted as always, with its defaults. */
export async function createRestic(dir: string) {
  const repo = join(dir, 'restic');
  await mkdir(repo, { recursive: true });
  const env = {
    RESTIC_REPOSITORY: repo,
    RESTIC_PASSWORD: 'bench',
    RESTIC_CACHE_DIR: join(dir, 'restic-cache'),
  };
  await timed('restic', ['init'], env);
  return {
    backUp: (path: string) => timed('restic', ['backup', '--quiet', path], env),
    restore: (target: string) => timed('restic', ['restore', 'latest', '--quiet', '--target', target], env),
  };
}

/** A repository of borgbackup's, encrypted; what is new is compressed with `compression`, as borg names it. */
export async function createBorg(dir: string, compression: string) {
  const base = join(dir, `borg-${compression}`);
  await mkdir(base, { recursive: true });
  const env = { BORG_REPO: join(base, 'repo'), BORG_PASSPHRASE: 'bench', BORG_BASE_DIR: base };
  await timed('borg', ['init', '--encryption=repokey-blake2'], env);
  let count = 0;
  return {
    backUp(path: string): Promise<number> {
      count += 1;
      return timed('borg', ['create', '--compression', compression, `::${count}`, path], env);
    },
    async restore(target: string): Promise<number> {
      await mkdir(target, { recursive: true });
      return timed('borg', ['extract', `::${count}`], env, target);
    },
  };
}
