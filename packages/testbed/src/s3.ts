import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import type { S3ServerSettings } from './s3/main.ts';
import { type S3Account, signedFetch } from './s3/sigv4.ts';

export interface RunningS3 extends S3Account {
  endpoint: string;
  /** True for a server of the tests' own, which can be given a quota. */
  emulated: boolean;
  /** Makes a bucket and waits for it. */
  createBucket(name: string): Promise<void>;
  /** Everything in a bucket: keys, and `KEY (unfinished)` for each upload that nobody has completed. */
  everything(bucket: string): Promise<string[]>;
  /** Ends a server that was started here, and removes its data; one that was there before is left alone. */
  stop(): Promise<void>;
}

export interface S3Options {
  port?: number;
  /** More than that is refused as QuotaExceeded, which is how a full bucket shows. */
  quotaBytes?: number;
}

/** The server that S3_ENDPOINT names (with S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION), or else a new one of our own. */
export async function testS3(): Promise<RunningS3> {
  const { S3_ENDPOINT: endpoint, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION = 'us-east-1' } = process.env;
  if (!endpoint) return startS3();
  if (!S3_ACCESS_KEY || !S3_SECRET_KEY)
    throw new Error('S3_ENDPOINT is set; set S3_ACCESS_KEY and S3_SECRET_KEY too.');
  const account = { accessKeyId: S3_ACCESS_KEY, secretAccessKey: S3_SECRET_KEY, region: S3_REGION };
  return { ...handle(endpoint, account), emulated: false, stop: async () => {} };
}

/** A new S3 server on a free loopback port, in a process of its own, its objects on disk. */
export async function startS3(options: S3Options = {}): Promise<RunningS3> {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-s3-'));
  const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
  const account = {
    accessKeyId: `TEST${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(20).toString('hex'),
    region: 'us-east-1',
  };
  const settings: S3ServerSettings = {
    ...{ ...account, port, dir },
    ...(options.quotaBytes === undefined ? {} : { quotaBytes: options.quotaBytes }),
  };
  const main = join(import.meta.dirname, 's3/main.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', main, JSON.stringify(settings)], {
    cwd: import.meta.dirname,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-4000);
    });
    child.stdout.once('data', () => resolve());
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`The S3 server ended with ${code}:\n${errors}`)));
  });
  return {
    ...handle(`http://127.0.0.1:${port}`, account),
    emulated: true,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function handle(endpoint: string, account: S3Account): Omit<RunningS3, 'emulated' | 'stop'> {
  const get = async (url: string): Promise<string> => {
    const answer = await signedFetch('GET', url, account);
    const body = await answer.text();
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${body}`);
    return body;
  };
  const all = (body: string, element: string): string[] =>
    [...body.matchAll(new RegExp(`<${element}>.*?<Key>([^<]*)</Key>.*?</${element}>`, 'gs'))].map(
      ([, key = '']) => key,
    );
  return {
    endpoint,
    ...account,
    async createBucket(name) {
      const answer = await signedFetch('PUT', `${endpoint}/${name}`, account);
      if (!answer.ok)
        throw new Error(`The bucket ${name} was not made: ${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
    },
    async everything(bucket) {
      const found: string[] = [];
      let token = '';
      do {
        const next = token === '' ? '' : `&continuation-token=${encodeURIComponent(token)}`;
        const page = await get(`${endpoint}/${bucket}?list-type=2${next}`);
        found.push(...all(page, 'Contents'));
        token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1] ?? '';
      } while (token !== '');
      const uploads = all(await get(`${endpoint}/${bucket}?uploads=`), 'Upload');
      return [...found, ...uploads.map((key) => `${key} (unfinished)`)];
    },
  };
}
