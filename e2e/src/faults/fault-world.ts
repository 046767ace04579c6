import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Process } from '@tarfleet/stack';
import {
  type FaultProxy,
  type RunningRedis,
  type RunningS3,
  startFaultProxy,
  startRedis,
  startS3,
} from '@tarfleet/testbed';
import { createWorld, type World } from '../world.ts';
import { createSite, type Site, TREES } from './site.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { type WorkerWatch, watchWorkers } from './worker-watch.ts';

export interface FaultWorld {
  world: World;
  site: Site;
  ssh: TcpProxy;
  s3: FaultProxy;
  queue: RunningRedis;
  /** Between the system and its queue. */
  queueWay: TcpProxy;
  watch: WorkerWatch;
  backupId: string;
  /** Workers that live and are not frozen. */
  workers(): Process[];
  /** Starts workers until two live. */
  fillUp(): Promise<void>;
  close(): Promise<void>;
}

const BUCKET = 'faults';

/** The whole system with something that can break between all of its parts, and a backup of three services. */
export async function createFaultWorld(folder: string, keepHours: number): Promise<FaultWorld> {
  const opened: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one();
  };
  try {
    const top = join(folder, 'server');
    await mkdir(top, { mode: 0o755 });
    const site = await createSite(top);
    opened.push(() => site.stop());
    const store: RunningS3 = await startS3();
    opened.push(() => store.stop());
    await store.createBucket(BUCKET);
    const s3 = await startFaultProxy(store.endpoint);
    opened.push(() => s3.stop());
    const queue = await startRedis();
    opened.push(() => queue.stop());
    const queueWay = await startTcpProxy({ host: '127.0.0.1', port: queue.port });
    opened.push(() => queueWay.stop());
    const watch = watchWorkers(join(folder, 'stack.log'));
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const world = await createWorld('redis', {
      queueUrl: queue.url().replace(`:${queue.port}`, `:${queueWay.port}`),
      workers: 2,
      apiEnv: { RESTORE_KEEP_HOURS: String(keepHours) },
      serverEnv: { PATH: `${site.bin}:${path}` },
      onLine: watch.read,
      destination: {
        ...{ type: 's3', bucket: BUCKET, region: store.region, endpoint: s3.url },
        ...{ accessKeyId: store.accessKeyId, secretAccessKey: store.secretAccessKey },
      },
    });
    opened.push(() => world.close());
    const { client, sshd, stack } = world;
    const ssh = await startTcpProxy(sshd);
    opened.push(() => ssh.stop());
    const { data: server } = await client.must('POST', '/api/servers', {
      ...{ name: 'box', kind: 'ssh', host: ssh.host, port: ssh.port, username: sshd.username },
      auth: { type: 'private_key', private_key: sshd.privateKey },
      host_key_fingerprint: sshd.fingerprint,
    });
    for (const { body } of site.services)
      await client.must('POST', `/api/servers/${server.id}/services`, body);
    await site.lay('backup');
    const backupId = await world.startBackup({ services: [...TREES] });
    const backup = await client.ended(backupId);
    if (backup.state !== 'completed') throw new Error(`No backup: ${JSON.stringify(backup)}`);
    const all = [...stack.workers];
    const workers = (): Process[] =>
      all.filter(({ child }) => child.exitCode === null && child.signalCode === null);
    return {
      ...{ world, site, ssh, s3, queue, queueWay, watch, backupId, workers, close },
      async fillUp() {
        while (workers().length < 2) all.push(await stack.addWorker());
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
