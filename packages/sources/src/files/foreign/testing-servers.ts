/** Real servers that lack GNU's tools, for tests: sshd with a PATH of its own, or with SFTP alone. */
import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTool, type RunningSshd, requireTools, startSshd } from '@tarfleet/testbed';

export type ServerKind = 'bsdtar' | 'busybox' | 'busybox with bsdtar' | 'sftp';

/** What busybox answers to on the servers here; no `tar`, so that nothing can come from it. */
const APPLETS =
  `sh cat find stat xargs readlink date id printf test head dd sleep kill grep ps true rm mv sha256sum`.split(
    ' ',
  );
const GNU = 'sh find cat date id printf readlink xargs sleep kill grep ps true sha256sum'.split(' ');

export interface ForeignServer extends RunningSshd {
  /** Its programs' folder. */
  bin: string;
}

export async function startForeignServer(kind: ServerKind): Promise<ForeignServer> {
  const tools = await requireTools(['busybox', 'bsdtar']);
  const bin = await mkdtemp(join(tmpdir(), 'tarfleet-bin-'));
  await chmod(bin, 0o755);
  const add = (name: string, program: string): Promise<void> => symlink(program, join(bin, name));
  if (kind.startsWith('busybox')) for (const name of APPLETS) await add(name, tools.busybox);
  if (kind === 'bsdtar') for (const name of GNU) await add(name, await whereIs(name));
  if (kind.endsWith('bsdtar')) await add('tar', tools.bsdtar);
  const options = kind === 'sftp' ? { config: ['ForceCommand internal-sftp'] } : { env: { PATH: bin } };
  const sshd = await startSshd(options);
  const stop = async (): Promise<void> => {
    await sshd.stop();
    await rm(bin, { recursive: true, force: true });
  };
  return { ...sshd, bin, stop };
}

async function whereIs(name: string): Promise<string> {
  const found = await findTool(name);
  if (!found) throw new Error(`this machine has no ${name}`);
  return found;
}
