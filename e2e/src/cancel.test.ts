// Every kind of job is cancelled in the middle of its work, which is held there, and leaves nothing behind.
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  compareTrees,
  type Fault,
  type FaultProxy,
  type RunningS3,
  snapshotTree,
  startFaultProxy,
  testS3,
} from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { markCommands } from './server-commands.ts';
import { until } from './until.ts';
import { BACKENDS, createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
/** Several upload parts of 8 MiB. */
const BIG = 48 << 20;
/** Far more of them than are on their way at once: the server's tar waits while they are held. */
const LARGE = 128 << 20;
/** Long to read, so that its tar is met at work however busy the machine is. */
const HUGE = 512 << 20;
/** Before that much of an archive has been read, a restore has written files already. */
const HELD_AFTER = 24 << 20;

let s3: RunningS3;
beforeAll(async () => {
  s3 = await testS3();
});
afterAll(() => s3.stop());

type Tree = 'big' | 'large' | 'small' | 'huge';

describe.each(BACKENDS)('a cancel on %s', (backend) => {
  const bucket = `cancel-${randomBytes(6).toString('hex')}`;
  const commands = markCommands();
  let here: World;
  let proxy: FaultProxy;
  let server: string;
  let big: string;
  /** The archive of each request that is being held; an upload sends several parts at once. */
  const held: string[] = [];

  /** Holds uploads from their third part on, or downloads in the middle of their answer. */
  function hold(what: 'uploads' | 'downloads'): void {
    proxy.decide = ({ method, url }) => {
      const upload = method === 'PUT' && /partNumber=([3-9]|\d\d)/.test(url);
      const download = method === 'GET' && url.split('?')[0]?.endsWith('.tar.gz') === true;
      if (!(what === 'uploads' ? upload : download)) return 'pass';
      held.push(url.split('?')[0] ?? url);
      const fault: Fault = what === 'uploads' ? 'hang' : { pauseAnswerAfter: HELD_AFTER };
      return fault;
    };
  }
  function release(): void {
    proxy.decide = () => 'pass';
    held.length = 0;
  }
  const everything = (): Promise<string[]> => s3.everything(bucket);
  const of = (keys: string[], id: string): string[] => keys.filter((key) => key.includes(id));
  const isUnfinished = (key: string): boolean => key.endsWith('(unfinished)');
  const jobOf = async (id: string) => (await here.client.must('GET', `/api/jobs/${id}`)).data;
  const treeOf = (name: Tree): string => join(here.dir, 'data', name);
  const addService = (name: string, tree: Tree, priority = 50): Promise<string> =>
    here.addService(server, name, [treeOf(tree)], { backup_priority: priority });
  const backUp = async (...services: string[]): Promise<string> => {
    const id = await here.startBackup({ services });
    expect(await here.client.ended(id)).toMatchObject({ state: 'completed' });
    return id;
  };

  /** Cancels a job and waits for its end. */
  async function cancel(id: string): Promise<void> {
    const answer = await here.client.request('POST', `/api/jobs/${id}/cancel`);
    expect(answer).toMatchObject({ status: 202, body: { success: true, data: { id } } });
    const job = await here.client.ended(id);
    expect(job).toMatchObject({ state: 'cancelled', failure: { code: 'CANCELLED' } });
    // Of a restore it says what it left.
    expect(job.result).toEqual(
      job.kind === 'restore' ? expect.objectContaining({ outcome: 'unchanged', rollback_path: null }) : null,
    );
    const again = await here.client.request('POST', `/api/jobs/${id}/cancel`);
    expect(again).toMatchObject({ status: 409, body: { code: 'JOB_FINISHED' } });
  }

  async function expectNoCommands(): Promise<void> {
    let left: unknown;
    await until('no command runs on the server', async () => {
      left = await commands.running();
      return Array.isArray(left) && left.length === 0;
    }).catch((error: Error) => {
      throw new Error(`${error.message} ${JSON.stringify(left)}`);
    });
  }

  /** A cancelled backup says so wherever one looks, holds nothing, and cannot be used. */
  async function expectCancelled(id: string): Promise<void> {
    expect(of(await everything(), id)).toEqual([]);
    const { data: status } = await here.client.must('GET', `/api/backups/status/${id}`);
    expect(status).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
    const { data: details } = await here.client.must('GET', `/api/backups/${id}`);
    expect(details).toMatchObject({ status: 'cancelled', size_bytes: 0, checksum: null });
    for (const service of details.services) expect(service).toMatchObject({ status: 'cancelled' });
    for (const action of ['restore', 'verify']) {
      const body = action === 'restore' ? {} : undefined;
      const refused = await here.client.request('POST', `/api/backups/${id}/${action}`, body);
      expect(refused).toMatchObject({ status: 409, body: { code: 'BACKUP_INCOMPLETE' } });
    }
  }

  beforeAll(async () => {
    await s3.createBucket(bucket);
    proxy = await startFaultProxy(s3.endpoint);
    const { region, accessKeyId, secretAccessKey } = s3;
    here = await createWorld(backend, {
      destination: { type: 's3', bucket, region, endpoint: proxy.url, accessKeyId, secretAccessKey },
      workerEnv: { CONCURRENCY: '2' },
      serverEnv: commands.serverEnv,
    });
    server = await here.addServer('source');
    big = join(here.dir, 'data/big');
    const small = join(here.dir, 'data/small');
    await mkdir(join(big, 'inner'), { recursive: true });
    await mkdir(small);
    await writeFile(join(big, 'a-text'), 'as it was\n');
    for (const name of ['b', 'c', 'd', 'e']) {
      await writeFile(join(big, `inner/${name}`), randomBytes(BIG / 4));
    }
    await writeFile(join(small, 'text'), 'small\n');
  }, 120_000);
  afterEach(() => release());
  afterAll(async () => {
    await here?.close();
    await proxy?.stop();
  }, 120_000);

  test('of a backup with services stored, in the middle of their upload and waiting', async () => {
    const large = join(here.dir, 'data/large');
    await mkdir(large);
    for (let at = 0; at < LARGE; at += 1 << 20) await appendFile(join(large, 'noise'), randomBytes(1 << 20));
    const names = ['flow-1', 'flow-2', 'flow-3', 'flow-4'];
    for (const [index, name] of names.entries()) {
      await addService(name, index === 1 || index === 2 ? 'large' : 'small', 10 + index);
    }
    hold('uploads');
    const id = await here.startBackup({ services: names });
    const { data: details } = await here.client.must('GET', `/api/backups/${id}`);
    await until('one archive is stored, two are in the middle', async () => {
      const keys = of(await everything(), id);
      const archives = keys.filter((key) => key.includes('.tar.gz'));
      return new Set(held).size >= 2 && archives.length === 3 && archives.filter(isUnfinished).length === 2;
    });
    expect(await commands.running()).not.toEqual([]);
    expect(details.services).toHaveLength(4);
    await cancel(id);
    await expectCancelled(id);
    await expectNoCommands();
    release();
    await backUp(...names);
    await rm(large, { recursive: true });
  }, 240_000);

  test('of a backup to a local folder, whose tar stands still on the server', async () => {
    const huge = join(here.dir, 'data/huge');
    await mkdir(huge);
    const piece = randomBytes(1 << 19).toString('hex');
    for (let at = 0; at < HUGE; at += piece.length) await appendFile(join(huge, 'text'), piece);
    await addService('to-folder', 'huge');
    const folder = join(here.dir, 'folder');
    const { data: destination } = await here.client.must('POST', '/api/destinations', {
      ...{ name: 'folder', type: 'local', config: { path: folder } },
    });
    const body = { services: ['to-folder'], destination_id: destination.id };
    const id = await here.startBackup(body);
    await until('tar runs', async () => {
      const tar = (await commands.running()).find(({ command }) => command.startsWith('tar --create'));
      return tar && process.kill(tar.pid, 'SIGSTOP');
    });
    await until('the archive is begun', async () =>
      (await filesBelow(folder)).some((name) => name.endsWith('.part')),
    );
    await cancel(id);
    await expectCancelled(id);
    expect(await filesBelow(folder)).toEqual([]);
    await expectNoCommands();
    const next = await here.startBackup(body);
    expect(await here.client.ended(next)).toMatchObject({ state: 'completed' });
    await rm(huge, { recursive: true });
  }, 240_000);

  test('of a backup and a verification that no worker has begun', async () => {
    for (const name of ['busy-1', 'busy-2']) await addService(name, 'big');
    await addService('queued', 'small');
    const sound = await backUp('queued');
    hold('uploads');
    const busy = [];
    for (const service of ['busy-1', 'busy-2']) busy.push(await here.startBackup({ services: [service] }));
    await until('both places are taken', async () => new Set(held).size === 2);
    const id = await here.startBackup({ services: ['queued'] });
    await cancel(id);
    expect(await jobOf(id)).toMatchObject({ attempt: 0, started_at: null });
    await expectCancelled(id);
    for (const one of busy) {
      expect(await jobOf(one)).toMatchObject({ ended_at: null });
      expect(of(await everything(), one).filter(isUnfinished)).toHaveLength(1);
    }
    for (const one of busy) await cancel(one);
    for (const one of busy) await expectCancelled(one);
    await expectNoCommands();

    release();
    const archive = await backUp('busy-1');
    hold('downloads');
    const verify = async (backup: string): Promise<string> => {
      const { data } = await here.client.must('POST', `/api/backups/${backup}/verify`);
      return data.verifyJobId;
    };
    const verifying = [await verify(archive), await verify(archive)];
    await until('both places are taken', async () => {
      const jobs = await Promise.all(verifying.map(jobOf));
      return held.length >= 2 && jobs.every(({ started_at }) => started_at !== null);
    });
    const waiting = await verify(sound);
    await cancel(waiting);
    expect(await jobOf(waiting)).toMatchObject({ attempt: 0, started_at: null });
    for (const one of verifying) await cancel(one);
    release();
    // A verification that did not come to its end says nothing of the backup.
    for (const backup of [archive, sound]) {
      const { data } = await here.client.must('GET', `/api/backups/${backup}`);
      expect(data).toMatchObject({ status: 'completed', verified: true });
      const verified = await here.client.request('POST', `/api/backups/${backup}/verify`, undefined, WAIT);
      expect(verified.body.data).toMatchObject({ isValid: true });
    }
  }, 240_000);

  test('of a backup whose server is down, between two tries', async () => {
    const { data: down } = await here.client.must('POST', '/api/servers', {
      ...{ name: 'down', kind: 'ssh', host: '127.0.0.1', port: 1, username: 'root' },
      auth: { type: 'private_key', private_key: here.sshd.privateKey },
      host_key_fingerprint: here.sshd.fingerprint,
    });
    await here.addService(down.id, 'on-down', [treeOf('small')]);
    const id = await here.startBackup({ services: ['on-down'] });
    const seen: string[] = [];
    for await (const { event } of here.client.events(id)) {
      seen.push(event);
      if (event === 'retrying') break;
    }
    expect(seen).toContain('retrying');
    await cancel(id);
    await expectCancelled(id);
  }, 240_000);

  test('of a connection test and a backup whose server takes the connection and says nothing', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
      socket.resume();
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = mute.address() as { port: number };
      const { data: silent } = await here.client.must('POST', '/api/servers', {
        ...{ name: 'mute', kind: 'ssh', host: '127.0.0.1', port, username: 'root' },
        auth: { type: 'private_key', private_key: here.sshd.privateKey },
        host_key_fingerprint: here.sshd.fingerprint,
      });
      await here.addService(silent.id, 'on-mute', [treeOf('small')]);
      // A new server is tested at once.
      let id: string = silent.test_job_id;
      for (const next of ['on-mute', null]) {
        await until('a worker connects', async () => sockets.size > 0);
        await cancel(id);
        await until('the connection is given up', async () => sockets.size === 0);
        if (next) id = await here.startBackup({ services: [next] });
      }
      await expectCancelled(id);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => mute.close(() => resolve()));
    }
  }, 240_000);

  test('of a restore, while it checks the archive and while it unpacks it, changes nothing', async () => {
    await addService('restored', 'big');
    const before = await snapshotTree(big);
    const id = await backUp('restored');
    await writeFile(join(big, 'a-text'), 'damaged\n');
    await rm(join(big, 'inner/b'));
    const damaged = await snapshotTree(big);
    const stages = async (): Promise<string[]> =>
      (await readdir(join(here.dir, 'data'))).filter((name) => name.startsWith('.tarfleet-restore-'));
    const restore = async (body: object): Promise<string> => {
      const { data } = await here.client.must('POST', `/api/backups/${id}/restore`, body);
      return data.restoreJobId;
    };
    const expectUntouched = async (job: string): Promise<void> => {
      const { data } = await here.client.must('GET', `/api/backups/restore-jobs/${job}`);
      expect(data).toMatchObject({ status: 'failed', current_step: 'Cancelled', services_restored: [] });
      expect(await stages()).toEqual([]);
      expect(compareTrees(damaged, await snapshotTree(big))).toEqual([]);
      expect((await readdir(join(here.dir, 'data'))).sort()).toEqual(['big', 'small']);
      await expectNoCommands();
    };

    hold('downloads');
    const checking = await restore({ restoreType: 'full', overwrite: true });
    await until('the archive is being checked', async () => held.length > 0);
    const busy = await here.client.request('POST', '/api/backups/create', {
      ...{ type: 'full', services: ['restored'] },
    });
    expect(busy).toMatchObject({ status: 409, body: { code: 'RESTORE_IN_PROGRESS' } });
    await cancel(checking);
    await expectUntouched(checking);

    for (const restorePath of [undefined, join(here.dir, 'data/elsewhere')]) {
      const unpacking = await restore({
        ...{ restoreType: 'full', overwrite: true, verifyIntegrity: false },
        ...(restorePath ? { restorePath } : {}),
      });
      // Both at once: another attempt may be about to take over what a worker that was too slow has begun.
      await until('files are being unpacked', async () => {
        const [stage] = await stages();
        const names = stage ? await filesBelow(join(here.dir, 'data', stage)) : [];
        return names.some((name) => /inner/.test(name)) && (await commands.running()).length > 0;
      });
      await cancel(unpacking);
      await expectUntouched(unpacking);
    }

    release();
    const body = { restoreType: 'full', overwrite: true };
    const whole = await here.client.request('POST', `/api/backups/${id}/restore`, body, WAIT);
    expect(whole.status).toBe(200);
    expect(compareTrees(before, await snapshotTree(big))).toEqual([]);
    // The way back.
    const { data } = await here.client.must(
      'GET',
      `/api/backups/restore-jobs/${whole.body.data.restoreJobId}`,
    );
    expect(await stages()).toEqual([data.rollback_path.split('/').at(-1)]);
  }, 240_000);
});
