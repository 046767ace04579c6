import { createCipheriv } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { RunningS3 } from '@tarfleet/testbed';
import type { BenchContext } from '../bench.ts';
import { createOurs } from './ours.ts';

const FILES = 5_000;
const FILE_BYTES = 1_000_000;

/** Restores one file of 1 MB out of an archive of 5 GB in S3; gives which share of the archive was fetched. */
export async function oneFileShare(context: BenchContext, dir: string, s3: RunningS3): Promise<number> {
  const { say, signal } = context;
  await s3.createBucket('bench');
  const counter = context.own(await countBytes(s3.endpoint));
  const { region, accessKeyId, secretAccessKey } = s3;
  const ours = await createOurs(context, dir, {
    ...{ type: 's3', bucket: 'bench', region, endpoint: counter.endpoint, accessKeyId, secretAccessKey },
  });
  const tree = join(dir, 'tree');
  await mkdir(tree);
  const random = createCipheriv('aes-128-ctr', Buffer.alloc(16, 5), Buffer.alloc(16));
  for (let file = 0; file < FILES; file += 1) {
    signal.throwIfAborted();
    await writeFile(join(tree, `file-${file}`), random.update(Buffer.alloc(FILE_BYTES)));
  }
  const service = await ours.addService('big', tree);
  const backup = await ours.backUp(service, 'full', 1);
  const wanted = join(tree, 'file-2500');
  const content = await readFile(wanted);
  await rm(tree, { recursive: true });
  const before = counter.bytes();
  const seconds = await ours.restore(backup.id, join(dir, 'out'), [wanted]);
  const fetched = counter.bytes() - before;
  const restored = join(dir, 'out', tree);
  const names = await readdir(restored);
  if (names.length !== 1 || !(await readFile(join(restored, 'file-2500'))).equals(content)) {
    throw new Error('What was restored is not the file.');
  }
  say(
    `One file of ${FILES}: ${(fetched / 1e6).toFixed(1)} of ${(backup.bytes / 1e6).toFixed(0)} MB fetched, in ${seconds.toFixed(2)} s`,
  );
  return fetched / backup.bytes;
}

/** Passes connections on and counts what comes back. */
async function countBytes(to: string): Promise<{ endpoint: string; bytes(): number; stop(): Promise<void> }> {
  const { hostname, port } = new URL(to);
  let bytes = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
    upstream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('No port.');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    bytes: () => bytes,
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
