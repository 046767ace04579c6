// Archives made to do harm, given to `tools/recover/recover.mjs`.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { recover } from './run-recover.ts';

test('an archive cannot reach outside the target', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-recover-'));
  try {
    const victim = join(dir, 'victim');
    await mkdir(victim);
    await writeFile(join(victim, 'secret'), 'secret');
    const file = (name: string) => tarEntry({ name, type: '0', content: 'planted' });
    const link = (name: string, to: string, type = '2') => tarEntry({ name, type, link: to });
    const hostile: [string, Buffer[]][] = [
      ['.. in a name', [file('srv/../../victim/planted')]],
      ['.. first', [file('../victim/planted')]],
      ['an absolute name', [file(`${victim}/planted`)]],
      ['through a symbolic link', [link('srv', victim), file('srv/planted')]],
      ['through one in the middle', [link('srv/a', victim), file('srv/a/b/planted')]],
      ['a folder where a link is', [link('srv', victim), tarEntry({ name: 'srv/', type: '5', mode: 0o777 })]],
      ['a file over a link', [link('srv', join(victim, 'secret')), file('srv')]],
      ['a hard link to outside', [link('srv', `${victim}/secret`, '1')]],
      ['a hard link upwards', [link('srv', '../../victim/secret', '1')]],
      ['a hard link through a link', [link('a', victim), link('b', 'a/secret', '1'), file('b')]],
    ];
    for (const [what, entries] of hostile) {
      const target = join(dir, 'target');
      const backup = await makeOldBackup(
        join(dir, 'backup'),
        Buffer.concat([...entries, Buffer.alloc(1024)]),
      );
      const before = await snapshotTree(victim);
      const refused = await recover(['extract', backup, target]);
      expect([what, refused.code, refused.stderr]).toEqual([
        what,
        1,
        expect.stringMatching(/no path below|no folder|EEXIST|twice/),
      ]);
      expect(compareTrees(before, await snapshotTree(victim))).toEqual([]);
      expect((await readdir(dir)).sort()).toEqual(['backup', 'target', 'victim']);
      for (const name of ['backup', 'target']) await rm(join(dir, name), { recursive: true });
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

function tarEntry({
  name,
  type,
  link = '',
  content = '',
  mode = 0o644,
}: {
  name: string;
  type: string;
  link?: string;
  content?: string;
  mode?: number;
}): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, from: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, from);
  };
  header.write(name);
  octal(mode, 100, 8);
  for (const from of [108, 116]) octal(0, from, 8);
  octal(content.length, 124, 12);
  octal(0, 136, 12);
  header.write(type, 156);
  header.write(link, 157);
  header.write('ustar\x0000', 257);
  header.fill(' ', 148, 156);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return Buffer.concat([header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

test('headers of GNU tar and of ustar, and what tar pads, come out as they went in', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-recover-'));
  try {
    const long = join('srv', 'd'.repeat(120), 'e'.repeat(120));
    await mkdir(join(dir, 'tree', long), { recursive: true });
    await writeFile(join(dir, 'tree', long, 'f'.repeat(200)), randomBytes(1_500_000));
    await symlink('t'.repeat(300), join(dir, 'tree', long, 'link'));
    await writeFile(join(dir, 'tree/srv/early'), 'before 1970');
    await utimes(join(dir, 'tree/srv/early'), -1000, -1000);
    const before = await snapshotTree(join(dir, 'tree/srv'));
    for (const format of ['gnu', 'oldgnu', 'pax']) {
      const options = { encoding: 'buffer' as const, maxBuffer: 1 << 26 };
      const args = [`--format=${format}`, '-C', join(dir, 'tree'), '-c', 'srv'];
      const { stdout } = await promisify(execFile)('tar', args, options);
      const target = join(dir, format);
      const backup = await makeOldBackup(join(dir, 'backup'), stdout);
      expect(await recover(['extract', backup, target])).toMatchObject({ code: 0 });
      const whole = (tree: typeof before) =>
        tree.map((entry) => ({ ...entry, mtimeNs: String(BigInt(entry.mtimeNs) / 1_000_000_000n) }));
      expect(compareTrees(whole(before), whole(await snapshotTree(join(target, 'site/srv'))))).toEqual([]);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

/** A backup of version 1 with this tar stream; gives its folder. */
async function makeOldBackup(folder: string, tar: Buffer): Promise<string> {
  const artifactId = '0197a000-0000-7000-8000-000000000001';
  const name = `${artifactId}/1-token.tar.gz`;
  const body = gzipSync(tar);
  const object = { name, bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') };
  const named = { id: artifactId, name: 'site' };
  const manifest = {
    ...{ format: 'tarfleet-backup', version: 1, backupId: artifactId, name: null, type: 'full' },
    ...{ createdAt: '2025-11-21T00:00:00.000Z', encryption: null, failed: [] },
    artifacts: [{ artifactId, service: named, server: named, object, contentBytes: 0, files: 0 }],
  };
  await mkdir(join(folder, artifactId), { recursive: true });
  await writeFile(join(folder, name), body);
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  return folder;
}
