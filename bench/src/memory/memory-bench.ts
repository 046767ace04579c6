import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@tarfleet/kernel';
import { startStack } from '@tarfleet/stack';
import { startS3, startSshd } from '@tarfleet/testbed';
import { type Bench, figure } from '../bench.ts';
import { signIn } from '../client.ts';
import { startBenchPostgres } from '../postgres.ts';
import { peakResident } from '../processes.ts';
import { untilEnded } from '../until-ended.ts';
import { assertFree, hashOfOnlyFile, writeMixedFile } from './mixed-file.ts';

const FILE_BYTES = 5_000_000_000;
/** The source, its archive, and what is restored. */
const DISK_BYTES = 3 * FILE_BYTES;
const GOAL_MB = 300;
const PASSWORD = 'bench-password';

export const memoryBench: Bench = {
  name: 'memory',
  about: 'most memory of a worker that backs up and restores a file of 5 GB, over ssh, to and from S3',
  async run(context) {
    const { say, signal } = context;
    const dir = await context.folder();
    await assertFree(dir, DISK_BYTES);
    const source = join(dir, 'source');
    say('Writing a file of 5 GB, half of it compressible');
    const sourceSha256 = await writeMixedFile(source, 'big', FILE_BYTES, signal);
    const sshd = context.own(await startSshd());
    const s3 = context.own(await startS3());
    await s3.createBucket('bench');
    const postgres = context.own(await startBenchPostgres(dir));
    const { endpoint, region, accessKeyId, secretAccessKey } = s3;
    const stack = context.own(
      await startStack({
        dir: join(dir, 'stack'),
        logger: createLogger({ level: 'silent', process: 'bench' }),
        ...{ port: 0, workers: 1, localRoots: [], adminEmail: 'bench@localhost', adminPassword: PASSWORD },
        databaseUrl: await postgres.database('tarfleet'),
        queueUrl: await postgres.database('tarfleet_queue'),
        destination: { type: 's3', bucket: 'bench', region, endpoint, accessKeyId, secretAccessKey },
        ...{ apiEnv: context.processEnv, workerEnv: context.processEnv },
      }),
    );
    const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
    context.own({ stop: async () => client.close() });
    const server = await client.call('POST', '/api/servers', {
      ...{ name: 'server', kind: 'ssh', host: sshd.host, port: sshd.port, username: sshd.username },
      auth: { type: 'private_key', private_key: sshd.privateKey },
      host_key_fingerprint: sshd.fingerprint,
    });
    await client.call('POST', `/api/servers/${server.data.id}/services`, {
      ...{ name: 'big', type: 'files', component: 'files', data_paths: [source] },
    });
    const pid = stack.workers[0]?.child.pid;
    if (pid === undefined) throw new Error('The worker has no process.');
    const idle = (await peakResident(pid)) / 1e6;

    const backup = await client.call('POST', '/api/backups/create', {
      ...{ type: 'full', encrypt: false, verify: false, compression_level: 1 },
    });
    const backupId: string = backup.data.backup_id;
    const backupSeconds = await untilEnded(client, backupId, signal);
    const backupMb = (await peakResident(pid)) / 1e6;
    say(
      `Backed up in ${backupSeconds.toFixed(0)} s; most memory ${backupMb.toFixed(0)} MB (started: ${idle.toFixed(0)} MB)`,
    );
    await rm(source, { recursive: true });

    // A worker of its own, so that its peak is the restore's.
    await stack.workers[0]?.stop();
    const second = (await stack.addWorker(context.processEnv)).child.pid;
    if (second === undefined) throw new Error('The worker has no process.');
    const target = join(dir, 'restored');
    const restore = await client.call('POST', `/api/backups/${backupId}/restore`, {
      ...{ restoreType: 'full', restorePath: target, overwrite: true, verifyIntegrity: false },
    });
    const restoreId: string = restore.data.restoreJobId;
    const restoreSeconds = await untilEnded(client, restoreId, signal);
    const restoreMb = (await peakResident(second)) / 1e6;
    say(`Restored in ${restoreSeconds.toFixed(0)} s; most memory ${restoreMb.toFixed(0)} MB`);
    if ((await hashOfOnlyFile(target)) !== sourceSha256)
      throw new Error('What was restored is not the source.');
    say('What was restored has the SHA-256 of the source');
    return [
      figure('memory', 'resident-5gb-mb', backupMb, GOAL_MB),
      figure('memory', 'resident-5gb-restore-mb', restoreMb, GOAL_MB),
    ];
  },
};
