import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { requireTools } from './tools.ts';

const run = promisify(execFile);

export interface RunningSshd {
  host: string;
  port: number;
  username: string;
  /** OpenSSH PEM; the server accepts it for every user. */
  privateKey: string;
  /** As `ssh-keygen -l` prints it. */
  fingerprint: string;
  /** Generates another host key and starts again on the same port: what an attacker in the middle looks like. Returns the new fingerprint. */
  changeHostKey(): Promise<string>;
  /** Ends every connection at once, as a cut cable would, without ending the server. */
  cutConnections(): Promise<void>;
  /**
   * What its sessions started and still lives, whoever its parent is by now. Not what runs under sudo, which forgets
   * where it came from, though sudo itself.
   */
  commands(): Promise<ServerCommand[]>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface ServerCommand {
  pid: number;
  /** The words of its command line, each ended by NUL. */
  line: string;
}

export interface SshdOptions {
  /** More lines for sshd_config; they win over the defaults here. */
  config?: string[];
  /** Of every command; values without blanks. sshd takes one `SetEnv` alone, so they belong here and not in `config`. */
  env?: Record<string, string>;
}

/** A real sshd on a free loopback port, with keys of its own. Runs as root, or as an ordinary user for that user alone. */
export async function startSshd(options: SshdOptions = {}): Promise<RunningSshd> {
  const tools = await requireTools(['sshd', 'ssh-keygen']);
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-sshd-'));
  await chmod(dir, 0o755);
  const keygen = async (name: string): Promise<string> => {
    await rm(join(dir, name), { force: true });
    await run(tools['ssh-keygen'], [
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-C',
      'tarfleet',
      '-f',
      join(dir, name),
    ]);
    const { stdout } = await run(tools['ssh-keygen'], ['-l', '-f', join(dir, `${name}.pub`)]);
    return stdout.split(' ')[1] ?? '';
  };
  let fingerprint = await keygen('host_key');
  await keygen('client_key');
  const authorized = join(dir, 'authorized_keys');
  await writeFile(authorized, await readFile(join(dir, 'client_key.pub')));
  await chmod(authorized, 0o644);
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const port = await getPort({ host: '127.0.0.1' });
  const config = join(dir, 'sshd_config');
  // A bash that is not the first reads no ~/.bashrc: what this machine's user has there is none of the tests'
  // business, changes PATH, and can take longer than the command.
  const variables = Object.entries({ SHLVL: '1', ...options.env }).map(([name, value]) => `${name}=${value}`);
  await writeFile(
    config,
    [
      // First: sshd takes the first value that it finds for a setting.
      ...(options.config ?? []),
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(dir, 'host_key')}`,
      `AuthorizedKeysFile ${authorized}`,
      `PidFile ${join(dir, 'sshd.pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication no',
      'MaxStartups 200:30:400',
      'MaxSessions 100',
      'Subsystem sftp internal-sftp',
      'LogLevel ERROR',
      `SetEnv ${variables.join(' ')}`,
    ].join('\n'),
  );
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const next = spawn(tools.sshd, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    next.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-4000);
    });
    child = next;
    for (let tries = 0; ; tries += 1) {
      if (next.exitCode !== null) throw new Error(`sshd ended with ${next.exitCode}:\n${errors}`);
      if (await answers(port)) return;
      if (tries > 200) throw new Error(`sshd does not answer on port ${port}:\n${errors}`);
      await sleep(25);
    }
  };
  const cutConnections = async (): Promise<void> => {
    if (child?.pid === undefined) return;
    for (const pid of await sshdsBelow(child.pid)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    }
  };
  const stop = async (): Promise<void> => {
    if (child && child.exitCode === null && child.signalCode === null) {
      await cutConnections();
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  };
  await start();
  return {
    host: '127.0.0.1',
    port,
    username: userInfo().username,
    privateKey: await readFile(join(dir, 'client_key'), 'utf8'),
    get fingerprint() {
      return fingerprint;
    },
    async changeHostKey() {
      await stop();
      fingerprint = await keygen('host_key');
      await start();
      return fingerprint;
    },
    cutConnections,
    commands: () => commandsOf(port),
    start,
    async stop() {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** sshd tells every command on which of its ports it was asked for. Zombies have no environment any more. */
async function commandsOf(port: number): Promise<ServerCommand[]> {
  const connection = new RegExp(`(^|\0)SSH_CONNECTION=\\S+ \\d+ \\S+ ${port}\0`);
  const found: ServerCommand[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const read = (file: string): Promise<string> =>
      readFile(`/proc/${name}/${file}`, 'latin1').catch(() => '');
    if (connection.test(await read('environ')))
      found.push({ pid: Number(name), line: await read('cmdline') });
  }
  return found.filter(({ line }) => line !== '');
}

/** The processes that serve connections; of a user without root's rights there are two, one below the other. */
async function sshdsBelow(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const child of await childrenOf(pid)) {
    const name = await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '');
    if (name.startsWith('sshd')) found.push(child, ...(await sshdsBelow(child)));
  }
  return found;
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
