import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createLogger } from '@tarfleet/kernel';
import { startSshd } from '@tarfleet/testbed';
import { createTransport } from '../create-transport.ts';
import { calm, keySecrets, localTarget, sshTarget } from '../test-support.ts';

const logger = createLogger({ level: 'fatal', process: 'test' });
const transport = createTransport({ logger, localRoots: ['/'], localAllowed: true });

/** The second waits for a greeting in the place of every command, and never says that it is no shell. */
test.each([['internal-sftp'], ['/usr/lib/openssh/sftp-server']])(
  'a server that runs %s alone is read over SFTP, names as bytes',
  async (forced) => {
    const sshd = await startSshd({ config: [`ForceCommand ${forced}`] });
    const dir = await mkdtemp(join(tmpdir(), 'tarfleet-sftp-'));
    const name = Buffer.from([0xff, 0x0a, 0x41]);
    const path = Buffer.concat([Buffer.from(`${dir}/`), name]);
    await writeFile(path, 'content');
    await symlink(name, join(dir, 'link'));
    const openSecrets = async () => keySecrets(sshd.privateKey);
    const session = await transport.connect({ target: sshTarget(sshd), openSecrets, signal: calm });
    try {
      expect(await session.capabilities(calm)).toMatchObject({
        shell: false,
        user: sshd.username,
        find: null,
      });
      await expect(session.run(['true'], { signal: calm })).rejects.toMatchObject({ code: 'TOOL_MISSING' });
      const files = await session.sftp(calm);
      const names: string[] = [];
      for await (const found of files.list(Buffer.from(dir))) {
        names.push(...found.map((one) => one.name.toString('latin1')));
      }
      expect(names.sort()).toEqual(['link', name.toString('latin1')]);
      expect(await files.readlink(Buffer.from(join(dir, 'link')))).toEqual(name);
      expect(await files.lstat(path)).toMatchObject({ type: 'f', size: 7 });
      const file = await files.open(path);
      expect((await file.read(3, 100))?.toString()).toBe('tent');
      expect(await file.read(7, 100)).toBeNull();
      await file.close();
      await expect(files.lstat(Buffer.from(`${dir}/gone`))).rejects.toMatchObject({ status: 2 });
      await sshd.cutConnections();
      await expect(files.lstat(path)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    } finally {
      await session.close();
      await sshd.stop();
      await rm(dir, { recursive: true });
    }
  },
);

test('there is no SFTP to the machine itself', async () => {
  const openSecrets = async () => ({ auth: { type: 'none' as const } });
  const session = await transport.connect({ target: localTarget, openSecrets, signal: calm });
  await expect(session.sftp(calm)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
  await session.close();
});
