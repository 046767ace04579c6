// The disaster: nothing is left but the destination's files, a key and `tools/recover/recover.mjs`.
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';
import { compareTrees, makeNastyTree, snapshotTree } from '@tarfleet/testbed';
import { recover } from './run-recover.ts';
import { createWorld, type World } from './world.ts';

type Tree = Awaited<ReturnType<typeof snapshotTree>>;

const WAIT = { prefer: 'wait=60' };
const PASSPHRASE = 'correct horse battery staple';
const run = promisify(execFile);

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

interface Taken {
  id: string;
  tree: Tree;
}

/**
 * A full backup and two that build on it, with changes of every kind between them. Then everything is stopped, and
 * all that is left is a copy of the destination's files.
 */
async function disaster({
  encrypt = true,
  workerEnv = {},
}: {
  encrypt?: boolean;
  workerEnv?: Record<string, string>;
} = {}) {
  const here = await createWorld('postgres', { workerEnv });
  world = here;
  const tree = join(here.dir, 'data/site');
  await makeNastyTree(tree);
  await here.addService(await here.addServer('source'), 'site', [tree]);
  const backUp = async (type: string): Promise<Taken> => {
    // Beyond what counts as just changed.
    await sleep(3_100);
    const answer = await here.client.request('POST', '/api/backups/create', { type, encrypt }, WAIT);
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ success: true })]);
    return { id: answer.body.data.backup_id, tree: await snapshotTree(tree) };
  };
  const full = await backUp('full');
  await appendFile(join(tree, 'hard-1'), 'more');
  await rm(join(tree, 'with space'));
  await mkdir(join(tree, 'with space'));
  await writeFile(join(tree, 'with space/inner'), 'inner');
  await rm(join(tree, 'link-dangling'));
  const second = await backUp('incremental');
  await rename(join(tree, 'with space'), join(tree, 'renamed'));
  await rm(join(tree, 'sticky'), { recursive: true });
  await symlink('renamed', join(tree, 'sticky'));
  const third = await backUp('incremental');
  const keyring = join(here.dir, 'keyring.json');
  await cp(join(here.dir, 'stack/keys/keyring.json'), keyring);
  const bucket = join(here.dir, 'downloaded');
  const { recoveryKey } = here.stack;
  await here.stack.stop();
  await cp(join(here.dir, 'stack/backups'), bucket, { recursive: true });
  for (const name of ['stack', 'data']) await rm(join(here.dir, name), { recursive: true });
  const manifests = (await readdir(bucket, { recursive: true })).filter((name) =>
    name.endsWith('manifest.json'),
  );
  const folderOf = ({ id }: Taken): string =>
    join(bucket, manifests.find((name) => name.includes(id))?.replace('/manifest.json', '') ?? id);
  const out = join(here.dir, 'out');
  return {
    dir: here.dir,
    tree,
    taken: [full, second, third] as const,
    bucket,
    folderOf,
    keyring,
    recoveryKey,
    out,
  };
}

/** What Node cannot make or set, and times beyond what it can: all but those must be the same. */
function withinNodesReach(tree: Tree): Tree {
  return tree
    .filter(({ type }) => type !== 'fifo' && !type.endsWith('device'))
    .map((entry) => ({ ...entry, xattrs: '', mtimeNs: '' }));
}

function expectSameTimes(before: Tree, after: Tree): void {
  const times = new Map(after.map(({ path, mtimeNs }) => [path, BigInt(mtimeNs)]));
  for (const { path, mtimeNs, type } of before) {
    const other = times.get(path);
    if (type === 'fifo' || type.endsWith('device') || other === undefined) continue;
    const apart = BigInt(mtimeNs) - other;
    expect([path, apart < 2_000n && apart > -2_000n]).toEqual([path, true]);
  }
}

/** Everything of each backup, by the script alone, and to the last attribute with GNU tar behind it. */
async function expectAll(
  left: Awaited<ReturnType<typeof disaster>>,
  keys: string[],
  env: Record<string, string> = {},
) {
  const { taken, folderOf, tree, out } = left;
  for (const backup of taken) {
    const target = join(out, backup.id);
    await mkdir(out, { recursive: true });
    const extracted = await recover(['extract', folderOf(backup), target, ...keys], env);
    // The tree has devices, FIFOs and extended attributes.
    expect([extracted.code, extracted.stderr]).toEqual([
      4,
      expect.stringMatching(/devices and FIFOs were left out/),
    ]);
    const found = await snapshotTree(join(target, 'site', tree));
    expect(compareTrees(withinNodesReach(backup.tree), withinNodesReach(found))).toEqual([]);
    expectSameTimes(backup.tree, found);

    const tar = join(out, `${backup.id}.tar`);
    expect(await recover(['extract', folderOf(backup), '--tar', tar, ...keys], env)).toMatchObject({
      code: 0,
    });
    const whole = join(out, `${backup.id}-tar`);
    await mkdir(whole);
    await run('tar', [
      '-xpf',
      tar,
      '--xattrs',
      '--xattrs-include=*',
      '--acls',
      '--numeric-owner',
      '-C',
      whole,
    ]);
    expect(compareTrees(backup.tree, await snapshotTree(join(whole, tree)))).toEqual([]);
  }
}

describe('encrypted with the keyring', () => {
  test('each backup comes back by the keyring file, and by the recovery key', async () => {
    const left = await disaster();
    const { taken, bucket, folderOf, keyring, recoveryKey, tree, out, dir } = left;
    await expectAll(left, ['--keyring', keyring]);

    const listed = await recover(['list', bucket]);
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    for (const { id } of taken) expect(listed.stdout).toContain(`backup ${id}`);
    expect(listed.stdout.match(/complete$/gm)).toHaveLength(3);
    const files = await recover(['files', folderOf(taken[2]), '--recovery-key', recoveryKey ?? '']);
    expect(files.stdout).toContain(`${tree}/renamed/inner\n`);
    expect(files.stdout).not.toContain(`${tree}/with space/inner\n`);

    // A name of a content with three, whose content lies under another name.
    const one = join(out, 'one');
    const path = join(tree, 'hard-2');
    const arguments_ = ['extract', folderOf(taken[1]), one, '--service', 'site', '--path', path];
    expect(await recover([...arguments_, '--recovery-key', recoveryKey ?? ''])).toMatchObject({ code: 0 });
    expect(await readFile(join(one, path), 'utf8')).toBe('one content, three namesmore');
    expect(await readdir(join(one, tree))).toEqual(['hard-2']);
    const object = (await objectsOf(folderOf(taken[0]), '.tar.gz.enc'))[0] ?? '';
    const plain = join(dir, 'plain.tar.gz');
    await recover(['decrypt', join(folderOf(taken[0]), object), plain, '--keyring', keyring]);
    expect((await run('tar', ['-tzf', plain])).stdout).toContain('link-relative');
  }, 240_000);
});

test('encrypted with a passphrase alone; a wrong one opens nothing', async () => {
  const left = await disaster({ workerEnv: { KEYRING_FILE: '', BACKUP_ENCRYPTION_PASSPHRASE: PASSPHRASE } });
  const file = join(left.dir, 'passphrase');
  await writeFile(file, `${PASSPHRASE}\n`);
  await expectAll(left, ['--passphrase-file', file]);
  const target = join(left.out, 'none');
  const folder = left.folderOf(left.taken[1]);
  const wrong = await recover(['extract', folder, target], {
    BACKUP_ENCRYPTION_PASSPHRASE: 'not the passphrase',
  });
  expect(wrong).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/encrypted with the key passphrase/),
  });
  expect(await recover(['extract', folder, target])).toMatchObject({ code: 3 });
  await expect(readdir(target)).rejects.toThrow('ENOENT');
}, 240_000);

describe('not encrypted', () => {
  test('each backup comes back, and so does one of version 1; plain tar reads the archives', async () => {
    const left = await disaster({ encrypt: false });
    const { taken, folderOf, tree, out, dir, bucket } = left;
    await expectAll(left, []);
    const [full, second] = taken;
    const { artifacts, ...manifest } = JSON.parse(
      await readFile(join(folderOf(full), 'manifest.json'), 'utf8'),
    );
    const plain = join(dir, 'plain');
    await mkdir(plain);
    const archive = join(folderOf(full), artifacts[0].object.name);
    await run('tar', ['xzf', archive, '--xattrs', '--xattrs-include=*', '--acls', '-C', plain]);
    expect(compareTrees(full.tree, await snapshotTree(join(plain, tree)))).toEqual([]);
    const changed = JSON.parse(await readFile(join(folderOf(second), 'manifest.json'), 'utf8')).artifacts[0];
    const { stdout } = await run('tar', ['tzf', join(folderOf(second), changed.object.name)]);
    expect(stdout).toContain('with space/inner');
    expect(stdout).not.toContain('link-relative');

    const old = join(bucket, 'old');
    await cp(folderOf(full), old, { recursive: true });
    await rm(join(old, artifacts[0].index.name));
    const { index, parent, ancestors, ...artifact } = artifacts[0];
    await writeFile(
      join(old, 'manifest.json'),
      JSON.stringify({ ...manifest, version: 1, artifacts: [artifact] }),
    );
    expect(await recover(['extract', old, join(out, 'old')])).toMatchObject({ code: 4 });
    const found = await snapshotTree(join(out, 'old/site', tree));
    expect(compareTrees(withinNodesReach(full.tree), withinNodesReach(found))).toEqual([]);
    expect((await recover(['files', old])).stdout).toContain(`${tree}/with space\n`);
  }, 240_000);
});

describe('damage', () => {
  test('a byte, an object or an ancestor that is not right is told, and nothing is written', async () => {
    const { taken, folderOf, bucket, keyring, out, dir, tree } = await disaster();
    await mkdir(out);
    const [full, second, third] = taken;
    const target = join(out, 'target');
    const expectRefused = async (backup: Taken, message: RegExp) => {
      const refused = await recover(['extract', folderOf(backup), target, '--keyring', keyring]);
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
      expect(await readdir(out)).toEqual([]);
    };
    const objects = (await readdir(folderOf(second), { recursive: true })).filter((name) => /\d-/.test(name));
    const withByteFlipped = async (path: string, at: number, check: () => Promise<void>) => {
      const before = await readFile(path);
      const after = Buffer.from(before);
      after[at] = (after[at] ?? 0) ^ 1;
      await writeFile(path, after);
      await check();
      await writeFile(path, before);
    };
    for (const name of objects.filter((one) => one.endsWith('.enc'))) {
      for (const at of [0, 40, 500]) {
        await withByteFlipped(join(folderOf(second), name), at, async () => {
          await expectRefused(second, /is damaged/);
          // What builds on it needs its archive, not its index.
          if (name.endsWith('.tar.gz.enc')) await expectRefused(third, /is damaged/);
        });
      }
    }
    const manifest = join(folderOf(second), 'manifest.json');
    const site = (await readFile(manifest)).indexOf('"site"') + 1;
    await withByteFlipped(manifest, site, () => expectRefused(second, /its MAC is wrong/));
    // Places spread over each object, the key's and the manifest included; 3 is that of a missing key.
    for (const name of [
      ...objects.filter((one) => one.endsWith('.json') || one.endsWith('.enc')),
      'manifest.json',
    ]) {
      const { length } = await readFile(join(folderOf(second), name));
      for (let nth = 0; nth < 15; nth += 1) {
        const at = Math.floor((length * (nth + 0.5)) / 15);
        await withByteFlipped(join(folderOf(second), name), at, async () => {
          const refused = await recover(['extract', folderOf(second), target, '--keyring', keyring]);
          expect([name, at, [1, 3].includes(refused.code)]).toEqual([name, at, true]);
          expect(refused.stderr).not.toBe('');
          expect(await readdir(out)).toEqual([]);
        });
      }
    }
    const withText = async (path: string, from: string, to: string, message: RegExp) => {
      const before = await readFile(path, 'utf8');
      expect(before).toContain(from);
      await writeFile(path, before.replace(from, to));
      await expectRefused(second, message);
      await writeFile(path, before);
    };
    await withText(manifest, '"mac"', '"mbc"', /nothing in it is called mbc/);
    await withText(manifest, '"version": 2', '"version": 3', /has version 3; this script reads 1 and 2/);
    const key = objects.find((name) => name.includes('.key.')) ?? '';
    await withText(join(folderOf(second), key), '"v":1', '"v":2', /is no key object of version 1/);
    // The beginning of one more, as a crash leaves it, hides none.
    const cut = join(folderOf(second), key.replace('.json', '.0123456789abcdef.json'));
    await writeFile(cut, '{"v":1,"format":"tarf');
    expect((await recover(['files', folderOf(second), '--keyring', keyring])).code).toBe(0);
    await rm(cut);

    // Of a damaged archive, what is sound comes out when it is asked for.
    const archive = join(folderOf(full), (await objectsOf(folderOf(full), '.tar.gz.enc'))[0] ?? '');
    const { length } = await readFile(archive);
    await withByteFlipped(archive, length - 1, async () => {
      await expectRefused(third, /is damaged/);
      const rest = await recover(['extract', folderOf(third), target, '--keyring', keyring, '--keep-going']);
      expect(rest).toMatchObject({
        code: 4,
        stderr: expect.stringMatching(/Left out: .* is damaged in its bytes/),
      });
      expect(await readFile(join(target, 'site', tree, 'renamed/inner'), 'utf8')).toBe('inner');
      await rm(target, { recursive: true });
    });

    await rename(folderOf(full), join(dir, 'elsewhere'));
    await expectRefused(third, new RegExp(`is missing. It belongs to the backup ${full.id}`));
    expect(
      (await recover(['list', bucket])).stdout.match(new RegExp(`MISSING: the backup ${full.id}`, 'g')),
    ).toHaveLength(2);
    await rename(join(dir, 'elsewhere'), join(bucket, folderOf(full).slice(bucket.length)));
    await rm(manifest);
    await expectRefused(second, /manifest.json is missing/);
  }, 240_000);
});

async function objectsOf(folder: string, ending: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(ending));
}
