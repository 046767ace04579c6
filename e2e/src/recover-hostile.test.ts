// Archives made to do harm, given to `tools/recover/recover.mjs`.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
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

test('an archive that is none, or that would fill memory or disk, is told', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-recover-'));
  try {
    const folder = tarEntry({ name: 'srv/', type: '5', mode: 0o755 });
    const file = (size: Buffer | string): Buffer => {
      const header = tarEntry({ name: 'srv/x', type: '0' });
      header.write('            ', 124);
      header.write(size.toString('latin1'), 124, 12, 'latin1');
      return withChecksum(header);
    };
    const END = Buffer.alloc(1024);
    const long = (name: string): Buffer => {
      const [head, body] = [
        tarEntry({ name: 'L', type: 'L', content: `${name}\0` }),
        tarEntry({ name: 'x', type: '0' }),
      ];
      return Buffer.concat([head, body]);
    };
    const bad: [string, Buffer[], RegExp][] = [
      ['a negative size', [file(Buffer.alloc(12, 0xff))], /its size is none/],
      ['a size beyond all numbers', [file(Buffer.alloc(12, 0x9f))], /its size is none/],
      ['a size of a terabyte', [file(`${(2 ** 33 - 1).toString(8)}\0`)], /ends too early/],
      ['a size that is no number', [file('12x')], /a number is none/],
      ['a header over a MiB', [tarEntry({ name: 'x', type: 'x', content: 'x'.repeat(1 << 21) })], /too long/],
      ['a part of a name with 300 bytes', [long(`srv/${'n'.repeat(300)}`), END], /ENAMETOOLONG/],
      [
        'a device with a content',
        [tarEntry({ name: 'srv/x', type: '3', content: 'x' }), END],
        /with content/,
      ],
      ['no end', [], /ends too early/],
      ['zeros without end', [END, Buffer.alloc(64 << 20)], /something behind its end/],
      ['data behind its end', [END, Buffer.from('x')], /something behind its end/],
    ];
    for (const [what, entries, message] of bad) {
      const backup = await makeOldBackup(join(dir, 'backup'), Buffer.concat([folder, ...entries]));
      const refused = await recover(['extract', backup, join(dir, 'target')]);
      expect([what, refused.code, refused.stderr]).toEqual([what, 1, expect.stringMatching(message)]);
      expect((await readdir(dir)).sort()).toEqual(['backup', 'target']);
      for (const name of ['backup', 'target']) await rm(join(dir, name), { recursive: true });
    }

    // What is in order comes out: a path of 300 bytes, and a device is counted.
    const path = `srv/${'d'.repeat(100)}/${'n'.repeat(195)}`;
    const fine = [folder, long(path), tarEntry({ name: 'srv/null', type: '3' }), END];
    const backup = await makeOldBackup(join(dir, 'backup'), Buffer.concat(fine));
    const done = await recover(['extract', backup, join(dir, 'target')]);
    expect(done).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/1 devices and FIFOs were left out/),
    });
    expect(await readdir(join(dir, 'target/site/srv', 'd'.repeat(100)))).toEqual(['n'.repeat(195)]);
    await rm(join(dir, 'target'), { recursive: true });
    expect(await recover(['extract', backup, join(dir, 'target'), '--path', '/'])).toMatchObject({ code: 4 });
    expect(await readdir(join(dir, 'target/site/srv', 'd'.repeat(100)))).toEqual(['n'.repeat(195)]);
    await rm(join(dir, 'target'), { recursive: true });

    // Cut or changed anywhere, it is refused before the target is made.
    const [name = ''] = (await readdir(backup, { recursive: true })).filter((one) => one.endsWith('.tar.gz'));
    const stored = await readFile(join(backup, name));
    for (let at = 0; at < stored.length; at += 11) {
      const flipped = Buffer.from(stored);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      for (const bytes of at % 3 === 0 ? [flipped, stored.subarray(0, at)] : [flipped]) {
        await writeFile(join(backup, name), bytes);
        const refused = await recover(['extract', backup, join(dir, 'target')]);
        expect([at, refused.code, refused.stderr]).toEqual([
          at,
          1,
          expect.stringMatching(/damaged|were stored/),
        ]);
      }
    }
    expect(await readdir(dir)).toEqual(['backup']);
  } finally {
    await rm(dir, { recursive: true });
  }
}, 120_000);

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
  return Buffer.concat([
    withChecksum(header),
    Buffer.from(content),
    Buffer.alloc((512 - (content.length % 512)) % 512),
  ]);
}

function withChecksum(header: Buffer): Buffer {
  header.fill(' ', 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
  return header;
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

test('an index of a version that is not known yet is told from a damaged one, and nothing is written', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-recover-'));
  try {
    const target = join(dir, 'target');
    const refusal = async (version: number, command: string[]) => {
      const backup = await makeBackup(join(dir, 'backup'), version);
      const { code, stderr } = await recover([command[0] ?? '', backup, ...command.slice(1)]);
      expect((await readdir(dir)).sort()).toEqual(['backup']);
      return { code, stderr: stderr.replaceAll(backup, '') };
    };
    for (const command of [['files'], ['extract', target], ['extract', target, '--keep-going']]) {
      expect(await refusal(3, command)).toEqual({
        code: 1,
        stderr: expect.stringMatching(
          /^\/\S+\.index\.gz has version 3; this script reads 1 and 2\. Use that of a later Tarfleet\.\n$/,
        ),
      });
    }
    // It is the version alone that is not right.
    expect(await refusal(2, ['files'])).toMatchObject({ code: 0 });
  } finally {
    await rm(dir, { recursive: true });
  }
});

/** A backup of nothing, with an index of this version. */
async function makeBackup(folder: string, version: number): Promise<string> {
  const archive = gzipSync(Buffer.alloc(1024));
  const id = '0197a000-0000-7000-8000-000000000001';
  const name = `${id}/1-token.tar.gz`;
  const own = { backupId: id, artifactId: id, name, bytes: archive.length, blockBytes: 4096, members: 1 };
  const ids = { backupId: id, artifactId: id };
  const header = {
    format: 'tarfleet-index',
    version,
    ...ids,
    roots: 'tarfleet-roots:d/srv',
    archives: [own],
  };
  const lines = [header, { archive: 0, members: [0] }, { entries: 0 }];
  const index = gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const stored = (name: string, body: Buffer) => ({
    ...{ name, bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') },
  });
  const named = { id, name: 'site' };
  const indexName = name.replace('.tar.', '.index.');
  const artifact = {
    ...{ artifactId: id, attempt: 1, service: named, server: named, object: stored(name, archive) },
    index: stored(indexName, index),
    ...{ parent: null, ancestors: [], contentBytes: 0, files: 0 },
  };
  await mkdir(join(folder, id), { recursive: true });
  await writeFile(join(folder, name), archive);
  await writeFile(join(folder, indexName), index);
  const manifest = {
    ...{ format: 'tarfleet-backup', version: 2, backupId: id, name: null, type: 'full', encryption: null },
    ...{ createdAt: '2025-11-21T00:00:00.000Z', failed: [], artifacts: [artifact] },
  };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  return folder;
}

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
