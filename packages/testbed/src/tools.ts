import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Programs that tests use, and the Debian package of each. */
const PACKAGES = {
  'redis-server': 'redis-server',
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
  sudo: 'sudo',
  setfacl: 'acl',
  setfattr: 'attr',
  busybox: 'busybox',
  bsdtar: 'libarchive-tools',
  // It brings the library that workers use where it is there.
  'libdeflate-gzip': 'libdeflate-tools',
  'redis-cli': 'redis-tools',
  nginx: 'nginx',
  mariadbd: 'mariadb-server-core',
  'mariadb-install-db': 'mariadb-server-core',
  mariadb: 'mariadb-client-core',
  'mariadb-admin': 'mariadb-client',
  curl: 'curl',
  faketime: 'faketime',
  'mariadb-dump': 'mariadb-client',
  sqlite3: 'sqlite3',
  psql: 'postgresql',
  chromium: 'chromium',
  pg_dump: 'postgresql',
  pgbench: 'postgresql',
  // Its TLS; the server comes with it.
  proftpd: 'proftpd-mod-crypto',
  openssl: 'openssl',
} as const;
export type Tool = keyof typeof PACKAGES;

/** Where a program is, or null; looks in the sbin folders too. */
export async function findTool(name: string): Promise<string | null> {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  for (const dir of dirs.filter(Boolean)) {
    const path = join(dir, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}

/**
 * Finds every tool, installing what is missing where that is possible (root on Debian).
 * Elsewhere throws an error that says what to install.
 */
export async function requireTools(tools: readonly Tool[]): Promise<Record<Tool, string>> {
  const missing: Tool[] = [];
  for (const tool of tools) if (!(await findTool(tool))) missing.push(tool);
  if (missing.length > 0) await install(missing);
  const found: Partial<Record<Tool, string>> = {};
  for (const tool of tools) {
    const path = await findTool(tool);
    if (!path) throw new Error(`${tool} was installed but cannot be found; is it in PATH?`);
    found[tool] = path;
  }
  return found as Record<Tool, string>;
}

async function install(tools: Tool[]): Promise<void> {
  const packages = [...new Set(tools.map((tool) => PACKAGES[tool]))];
  const apt = await findTool('apt-get');
  if (!apt || process.getuid?.() !== 0) {
    throw new Error(
      `These tests run against real servers. Missing here: ${tools.join(', ')}. Install them first; on Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}`,
    );
  }
  process.stderr.write(`Installing ${packages.join(', ')} ...\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const lock = ['-o', 'DPkg::Lock::Timeout=300'];
  await run(apt, [...lock, 'update', '-qq'], { env, maxBuffer: 1 << 26 });
  await run(apt, [...lock, 'install', '-y', '-qq', '--no-install-recommends', ...packages], {
    env,
    maxBuffer: 1 << 26,
  });
}
