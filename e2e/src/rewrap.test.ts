// A change of the keyring's key, over HTTP and by what lies in the destination: the old key may go, and nothing is lost.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

interface KeyringFile {
  primary: string;
  keys: { name: string; kind: 'raw'; key: string }[];
}

async function open() {
  const here = await createWorld('postgres');
  world = here;
  const { client, stack } = here;
  const tree = join(here.dir, 'data/site');
  await mkdir(tree);
  await writeFile(join(tree, 'one'), 'one');
  await here.addService(await here.addServer('source'), 'site', [tree]);
  const keyringPath = join(here.dir, 'stack/keys/keyring.json');
  let worker = stack.workers[0];
  const stored = join(here.dir, 'stack/backups');
  const objects = async (): Promise<string[]> =>
    (await readdir(stored, { recursive: true })).filter((name) => /\.(enc|json)$/.test(name)).sort();
  const alive = async (): Promise<string[]> => {
    const { data } = await client.must('GET', '/api/workers');
    return data.flatMap(({ id, state }: { id: string; state: string }) => (state === 'alive' ? [id] : []));
  };
  return {
    ...{ client, tree },
    /** Changes the keyring's file, and starts a worker that reads it in place of the one that runs. */
    async changeKeyring(change: (keyring: KeyringFile) => KeyringFile): Promise<void> {
      const keyring = JSON.parse(await readFile(keyringPath, 'utf8')) as KeyringFile;
      await writeFile(keyringPath, JSON.stringify({ ...keyring, ...change(keyring) }));
      const before = await alive();
      await worker?.stop();
      worker = await stack.addWorker();
      // The API learns of the keys, and of the goodbye, by heartbeats.
      for (const until = Date.now() + 60_000; ; await sleep(100)) {
        const now = await alive();
        if (now.length > 0 && !now.some((id) => before.includes(id))) return;
        if (Date.now() > until) throw new Error(`still alive: ${now.join()}`);
      }
    },
    async backUp(type: string) {
      // Beyond what counts as just changed.
      await sleep(3_100);
      const { data } = await client.must('POST', '/api/backups/create', { type }, WAIT);
      const details = await client.must('GET', `/api/backups/${data.backup_id}`);
      expect(details.data).toMatchObject({ status: 'completed', type, encrypted: true });
      return { id: data.backup_id as string, tree: await snapshotTree(tree) };
    },
    restore: (id: string, restorePath: string) =>
      client.request('POST', `/api/backups/${id}/restore`, { overwrite: true, restorePath }, WAIT),
    async expectRestores(backup: { id: string; tree: Awaited<ReturnType<typeof snapshotTree>> }) {
      const out = join(here.dir, `data/out-${backup.id}`);
      const answer = await client.request(
        'POST',
        `/api/backups/${backup.id}/restore`,
        { overwrite: true, restorePath: out },
        WAIT,
      );
      expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
      expect(compareTrees(backup.tree, await snapshotTree(join(out, tree)))).toEqual([]);
      await rm(out, { recursive: true });
    },
    /** Names of the keys that a backup's archives are wrapped with. */
    async keysOf({ id }: { id: string }): Promise<string[]> {
      const names = (await objects()).filter((name) => name.includes(id));
      return names.flatMap((name) => /\.key\.([a-z0-9-]+)(?:\.[0-9a-f]{16})?\.json$/.exec(name)?.[1] ?? []);
    },
    /** Every object but the keys' own, by its hash. */
    async others(): Promise<Record<string, string>> {
      const names = (await objects()).filter((name) => !name.includes('.key.'));
      const hashes = names.map(async (name) => [
        name,
        createHash('sha256')
          .update(await readFile(join(stored, name)))
          .digest('hex'),
      ]);
      return Object.fromEntries(await Promise.all(hashes));
    },
    async rewrapAll(body: object = {}) {
      const first = (await client.must('POST', '/api/backups/rewrap', body)).data;
      const until = Date.now() + 60_000;
      for (;;) {
        const { data } = await client.must('POST', '/api/backups/rewrap', body);
        if (data.running + data.remaining === 0) return first;
        if (Date.now() > until) throw new Error(JSON.stringify(data));
        await sleep(200);
      }
    },
  };
}

test('a new key takes the place of the old one, which then goes', async () => {
  const { client, tree, changeKeyring, backUp, restore, expectRestores, keysOf, others, rewrapAll } =
    await open();
  const full = await backUp('full');
  await writeFile(join(tree, 'two'), 'two');
  const incremental = await backUp('incremental');
  const before = await others();
  expect(Object.keys(before).length).toBeGreaterThanOrEqual(6);
  const [old] = await keysOf(full);

  await changeKeyring(({ keys }) => ({
    primary: 'key-2',
    keys: [...keys, { name: 'key-2', kind: 'raw', key: Buffer.alloc(32, 7).toString('base64') }],
  }));
  // What was made with the old key can be read and built upon; what is new has the new one.
  await expectRestores(incremental);
  await writeFile(join(tree, 'three'), 'three');
  const mixed = await backUp('incremental');
  expect(await keysOf(mixed)).toEqual(['key-2']);
  // Hidden: needed by the later ones alone.
  await client.must('DELETE', `/api/backups/${full.id}?force=true&reason=test`, undefined, WAIT);
  expect(await keysOf(full)).toEqual([old]);

  expect(await rewrapAll()).toMatchObject({ started: 2, remaining: 0, key_names: ['key-2'], refused: [] });
  for (const one of [full, incremental, mixed]) expect(await keysOf(one)).toEqual(['key-2']);
  expect(await others()).toMatchObject(before);
  const single = await client.must('POST', `/api/backups/${incremental.id}/rewrap`, {}, WAIT);
  expect(single.data).toMatchObject({ key_name: 'key-2', archives: 1, changed: 0 });

  await changeKeyring(({ keys }) => ({
    primary: 'key-2',
    keys: keys.filter(({ name }) => name === 'key-2'),
  }));
  for (const one of [incremental, mixed]) await expectRestores(one);
  await writeFile(join(tree, 'four'), 'four');
  await expectRestores(await backUp('incremental'));
  expect(await others()).toMatchObject(before);

  // The other way about: a key that is taken away too early is missed, and nothing is written.
  await changeKeyring(() => ({
    primary: 'key-3',
    keys: [{ name: 'key-3', kind: 'raw', key: Buffer.alloc(32, 8).toString('base64') }],
  }));
  const lost = await restore(mixed.id, join(tree, '../out'));
  expect([lost.status, lost.body]).toEqual([
    422,
    expect.objectContaining({ code: 'ENCRYPTION_KEY_NOT_FOUND', message: expect.stringContaining('key-2') }),
  ]);
  const unwrapped = await client.request('POST', `/api/backups/${mixed.id}/rewrap`, {}, WAIT);
  expect([unwrapped.status, unwrapped.body.code]).toEqual([422, 'ENCRYPTION_KEY_NOT_FOUND']);
  expect(await keysOf(mixed)).toEqual(['key-2']);
  await expect(readdir(join(tree, '../out'))).rejects.toMatchObject({ code: 'ENOENT' });
}, 300_000);
