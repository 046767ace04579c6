// A whole life of a backup at destinations of other kinds: servers of SFTP and FTP, and Azure's emulator.
import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree, startAzurite, startFtpServer } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { recover } from './run-recover.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const STRANGER = 'stray.bin';

interface Place {
  type: string;
  config: { path?: string; [name: string]: unknown };
  wrong: object;
  /** All that lies there, seen without the driver. */
  lying(): Promise<string[]>;
  plant(name: string): Promise<void>;
}

let here: World;
let tree: string;
const places: Record<string, Place> = {};
const stops: (() => Promise<void>)[] = [];
beforeAll(async () => {
  const [ftp, azurite] = await Promise.all([startFtpServer({ tls: 'explicit' }), startAzurite()]);
  stops.push(ftp.stop, azurite.stop);
  here = await createWorld('postgres', { apiEnv: { SURVEY_EVERY_MS: '0' } });
  tree = join(here.dir, 'data/tree');
  await mkdir(tree);
  for (const name of ['one', 'two', 'three']) await writeFile(join(tree, name), randomBytes(3 << 20));
  await here.addService(await here.addServer('box'), 'tree', [tree]);
  const folder = (root: string) => ({
    lying: () => filesBelow(root),
    async plant(name: string) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), 'stray');
    },
  });
  const { host, port, username, fingerprint } = here.sshd;
  const vault = join(here.dir, 'vault');
  places.sftp = {
    ...folder(vault),
    type: 'sftp',
    config: {
      ...{ host, port, username, path: vault, host_key_fingerprint: fingerprint },
      private_key: here.sshd.privateKey,
    },
    wrong: { private_key: undefined, password: 'wrong' },
  };
  const login = { host: ftp.host, port: ftp.port, username: ftp.username, password: ftp.password };
  places.ftp = {
    ...folder(join(ftp.root, 'backups')),
    type: 'ftp',
    config: { ...login, path: '/backups', tls: 'explicit', ca: ftp.certificate },
    wrong: { password: 'wrong' },
  };
  const { account, accountKey, endpoint } = azurite;
  const ask = (method: string, path: string, query: Record<string, string> = {}, body = '') =>
    askAzure({ endpoint, account, accountKey }, method, path, query, body);
  await ask('PUT', '/archives', { restype: 'container' });
  places.azure = {
    type: 'azure',
    config: { account, container: 'archives', endpoint, prefix: 'below', account_key: accountKey },
    wrong: { account_key: randomBytes(64).toString('base64') },
    async lying() {
      const query = { comp: 'list', include: 'uncommittedblobs', restype: 'container' };
      const listing = await ask('GET', '/archives', query);
      return [...listing.matchAll(/<Name>below\/([^<]*)<\/Name>/g)].map(([, name]) => name as string).sort();
    },
    plant: async (name) => void (await ask('PUT', `/archives/below/${name}`, {}, 'stray')),
  };
}, 120_000);
afterAll(async () => {
  await here?.close();
  for (const stop of stops) await stop();
}, 60_000);

/** One request, signed by the account's key as Azure's documentation has it. */
async function askAzure(
  { endpoint, account, accountKey }: { endpoint: string; account: string; accountKey: string },
  method: string,
  path: string,
  query: Record<string, string>,
  body: string,
): Promise<string> {
  const own: Record<string, string> = {
    ...(body === '' ? {} : { 'x-ms-blob-type': 'BlockBlob' }),
    ...{ 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-08-06' },
  };
  const headers = Object.entries(own).map(([name, value]) => `${name}:${value}\n`);
  const length = body === '' ? '' : String(Buffer.byteLength(body));
  const type = body === '' ? '' : 'application/octet-stream';
  const resource = [`/${account}/${account}${path}`, ...Object.entries(query).map((pair) => pair.join(':'))];
  const signed = `${method}\n\n\n${length}\n\n${type}\n\n\n\n\n\n\n${headers.join('')}${resource.join('\n')}`;
  const signature = createHmac('sha256', Buffer.from(accountKey, 'base64')).update(signed).digest('base64');
  const answer = await fetch(`${endpoint}${path}?${new URLSearchParams(query)}`, {
    method,
    headers: {
      ...own,
      ...(type ? { 'content-type': type } : {}),
      authorization: `SharedKey ${account}:${signature}`,
    },
    ...(body === '' ? {} : { body }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text;
}

/** The script sets times as Node does, to a microsecond or so. */
const inSeconds = (entries: Awaited<ReturnType<typeof snapshotTree>>) =>
  entries.map((entry) => ({ ...entry, mtimeNs: String(BigInt(entry.mtimeNs) / 1_000_000_000n) }));

const completed = async (method: string, path: string, body?: unknown) => {
  const { status, body: answer } = await here.client.request(method, path, body, WAIT);
  expect([path, status, answer]).toEqual([path, 200, expect.anything()]);
  return answer.data;
};

test.each(['sftp', 'ftp', 'azure'])(
  'a whole life at %s',
  async (kind) => {
    const { type, config, wrong, lying, plant } = places[kind] as Place;
    const tried = (own: object) =>
      here.client.must('POST', '/api/destinations/test', { type, config: { ...config, ...own } });
    expect(await here.client.ended((await tried({})).data.id)).toMatchObject({
      state: 'completed',
      result: { reachable: true, writable: true, failure: null },
    });
    const { data: made } = await here.client.must('POST', '/api/destinations', { name: kind, type, config });
    const destination = made.id;
    await here.client.must('POST', '/api/destinations', {
      // A place of its own, where it has one.
      ...{ name: `${kind}, wrong`, type, config: { ...config, ...wrong, ...beside(config) } },
    });
    const { data: all } = await here.client.must('GET', '/api/destinations');
    const refused = all.find(({ name }: { name: string }) => name === `${kind}, wrong`).id;
    const test = await here.client.must('POST', `/api/destinations/${refused}/test`);
    const said = [
      await here.client.ended(test.data.id),
      await here.client.ended((await tried(wrong)).data.id),
    ];
    for (const job of said) expect(JSON.stringify(job)).toContain('DESTINATION_AUTH_FAILED');

    const full = await here.startBackup({ encrypt: true, destination_id: destination });
    expect(await here.client.ended(full)).toMatchObject({ state: 'completed' });
    const before = await snapshotTree(tree);
    await writeFile(join(tree, 'four'), 'a change');
    const later = await here.startBackup({ encrypt: true, destination_id: destination, type: 'incremental' });
    expect(await here.client.ended(later)).toMatchObject({ state: 'completed' });
    const after = await snapshotTree(tree);
    expect((await lying()).length).toBeGreaterThan(3);

    for (const id of [full, later]) {
      const checked = await completed('POST', `/api/backups/verify/${id}`, { deep_verification: true });
      expect(checked).toMatchObject({ verification_status: 'passed', issues: [] });
    }
    for (const [id, wanted] of [
      [full, before],
      [later, after],
    ] as const) {
      await rm(tree, { recursive: true });
      await completed('POST', `/api/backups/${id}/restore`, {});
      expect(compareTrees(wanted, await snapshotTree(tree))).toEqual([]);
    }

    const file = join(here.dir, `${kind}.tar`);
    const auth = `Authorization: Bearer ${here.client.token}`;
    const whole = `${here.client.url}/api/backups/${full}/download?format=tar`;
    execFileSync('curl', ['-sSf', '-o', file, '-H', auth, whole]);
    const unpacked = join(here.dir, `${kind}-unpacked`);
    await mkdir(unpacked);
    execFileSync('tar', ['xf', file, '-C', unpacked]);
    const { data } = await here.client.must('GET', `/api/backups/${full}`);
    const recovered = join(here.dir, `${kind}-recovered`);
    const keyring = join(here.dir, 'stack/keys/keyring.json');
    const folder = join(unpacked, data.services[0].file_path, '../..');
    expect(await recover(['extract', folder, recovered, '--keyring', keyring])).toMatchObject({ code: 0 });
    const found = await snapshotTree(join(recovered, 'tree', tree));
    expect(compareTrees(inSeconds(before), inSeconds(found))).toEqual([]);

    const own = await lying();
    await plant(STRANGER);
    // Longer than what counts as just written; some servers tell whole seconds alone.
    await sleep(2_500);
    await completed('POST', `/api/destinations/${destination}/unknown-objects`);
    const survey = await here.client.must('GET', `/api/destinations/${destination}/unknown-objects`);
    expect(survey.data).toEqual([expect.objectContaining({ prefix: STRANGER, reason: 'no_backup' })]);
    expect(await lying()).toEqual([...own, STRANGER].sort());

    for (const id of [later, full]) await completed('DELETE', `/api/backups/${id}?force=true&reason=test`);
    expect(await lying()).toEqual([STRANGER]);
  },
  120_000,
);

function beside({ path }: Place['config']): object {
  return path === undefined ? {} : { path: `${path}-wrong` };
}
