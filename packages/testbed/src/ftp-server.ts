import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { requireTools } from './tools.ts';

const run = promisify(execFile);
/** An account that every Debian has: what is stored belongs to it. */
const OWNER = 'daemon';

export interface RunningFtpServer {
  host: string;
  port: number;
  username: string;
  password: string;
  /** What the account sees as `/`, on this machine. */
  root: string;
  /** PEM of its certificate, which it signed itself, for 127.0.0.1 and 127.0.0.2. */
  certificate: string;
  /** SHA-256 of the certificate, in hex. */
  fingerprint: string;
  stop(): Promise<void>;
}

export interface FtpServerOptions {
  tls: 'explicit' | 'implicit' | 'none';
  /** More lines for its configuration. */
  config?: string[];
  /** Served in place of a folder of its own; it is given to the server's user. */
  root?: string;
}

/** A real ProFTPD on a free loopback port, for one account that is nobody on this machine. Needs root. */
export async function startFtpServer(options: FtpServerOptions): Promise<RunningFtpServer> {
  const tools = await requireTools(['proftpd', 'openssl']);
  if (process.getuid?.() !== 0) throw new Error('The FTP server serves other users: run this test as root.');
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-ftp-'));
  await chmod(dir, 0o755);
  const root = options.root ?? join(dir, 'root');
  await mkdir(root, { recursive: true });
  await run('chown', [OWNER, root]);
  const username = 'backup';
  const password = randomBytes(9).toString('hex');
  const { stdout: hash } = await run(tools.openssl, ['passwd', '-6', password]);
  const { stdout: uid } = await run('id', ['-u', OWNER]);
  const { stdout: gid } = await run('id', ['-g', OWNER]);
  await writeFile(
    join(dir, 'accounts'),
    `${username}:${hash.trim()}:${uid.trim()}:${gid.trim()}::${root}:/bin/false\n`,
    { mode: 0o600 },
  );
  const certificate = await makeCertificate(tools.openssl, dir);
  const port = await getPort({ host: '127.0.0.1' });
  await writeFile(join(dir, 'proftpd.conf'), configuration(dir, port, options), { mode: 0o600 });
  const child = spawn(tools.proftpd, ['-n', '-q', '-c', join(dir, 'proftpd.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(dir, { recursive: true, force: true });
  };
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (child.exitCode !== null || tries > 400) {
      await stop();
      throw new Error(`The FTP server does not answer on port ${port}: ${said}`);
    }
    await sleep(25);
  }
  const fingerprint = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
  return { host: '127.0.0.1', port, username, password, root, certificate, fingerprint, stop };
}

function configuration(dir: string, port: number, { tls, config = [] }: FtpServerOptions): string {
  return [
    ...(tls === 'none' ? [] : ['ModulePath /usr/lib/proftpd', 'LoadModule mod_tls.c']),
    ...['ServerName test', 'ServerType standalone', 'DefaultAddress 127.0.0.1', 'SocketBindTight on'],
    ...[`Port ${port}`, 'UseIPv6 off', 'UseReverseDNS off', 'DefaultServer on', 'MaxInstances 60'],
    ...[`User ${OWNER}`, `Group ${OWNER}`, 'DefaultRoot ~', 'RequireValidShell off', 'AllowOverwrite on'],
    ...['AuthOrder mod_auth_file.c', `AuthUserFile ${dir}/accounts`, 'AllowRetrieveRestart on', 'Umask 022'],
    ...[`PidFile ${dir}/pid`, `ScoreboardFile ${dir}/scoreboard`, `SystemLog ${dir}/log`],
    ...['TransferLog none', 'WtmpLog off', 'TimesGMT on', 'ListOptions "-a"'],
    ...(tls === 'none'
      ? []
      : [
          ...['TLSEngine on', 'TLSRequired on', 'TLSProtocol TLSv1.2 TLSv1.3', `TLSLog ${dir}/tls`],
          ...[`TLSRSACertificateFile ${dir}/certificate.pem`, `TLSRSACertificateKeyFile ${dir}/key.pem`],
          ...(tls === 'implicit' ? ['TLSOptions UseImplicitSSL'] : []),
        ]),
    ...config,
    '',
  ].join('\n');
}

async function makeCertificate(openssl: string, dir: string): Promise<string> {
  const file = join(dir, 'certificate.pem');
  await run(openssl, [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,IP:127.0.0.2', '-keyout', join(dir, 'key.pem'), '-out', file],
  ]);
  return readFile(file, 'utf8');
}

/** The processes of its connections too: they are in its group. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await gone;
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
