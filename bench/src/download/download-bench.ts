import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createLogger } from '@tarfleet/kernel';
import { startStack } from '@tarfleet/stack';
import { requireTools, startSshd } from '@tarfleet/testbed';
import { type Bench, type Figure, figure } from '../bench.ts';
import { type Client, signIn } from '../client.ts';
import { assertFree } from '../memory/mixed-file.ts';
import { startBenchPostgres } from '../postgres.ts';
import { peakResident, resetPeak } from '../processes.ts';
import { table } from '../table.ts';
import { untilEnded } from '../until-ended.ts';
import { largestBelow, startFileServer } from './file-server.ts';

const GIGABYTES = 5;
const PASSWORD = 'bench-password';
const run = promisify(execFile);

interface Download {
  what: string;
  bytes: number;
  seconds: number;
  /** Of the API process, in bytes: at the beginning, and at most. */
  base: number;
  peak: number;
}

export const downloadBench: Bench = {
  name: 'download',
  about: `most memory of the API while a backup of ${GIGABYTES} GB (or \`bench download N\`) is downloaded, beside one of a tenth; bytes a second beside nginx`,
  async run(context) {
    const { say, signal } = context;
    const gigabytes = Number(context.parts[0] ?? GIGABYTES);
    if (!(gigabytes > 0)) throw new Error('bench download takes a number of gigabytes.');
    await requireTools(['curl', 'nginx']);
    const dir = await context.folder();
    // The sources, their archive, and the archives of two services.
    await assertFree(dir, 3.5e9 * gigabytes);
    const sshd = context.own(await startSshd());
    const postgres = context.own(await startBenchPostgres(dir));
    const stack = context.own(
      await startStack({
        dir: join(dir, 'stack'),
        logger: createLogger({ level: 'silent', process: 'bench' }),
        ...{ port: 0, workers: 1, localRoots: [], adminEmail: 'bench@localhost', adminPassword: PASSWORD },
        databaseUrl: await postgres.database('tarfleet'),
        queueUrl: await postgres.database('tarfleet_queue'),
        ...{ apiEnv: context.processEnv, workerEnv: context.processEnv },
      }),
    );
    const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
    context.own({ stop: async () => client.close() });
    const { data: server } = await client.call('POST', '/api/servers', {
      ...{ name: 'server', kind: 'ssh', host: sshd.host, port: sshd.port, username: sshd.username },
      auth: { type: 'private_key', private_key: sshd.privateKey },
      host_key_fingerprint: sshd.fingerprint,
    });
    const pid = stack.api.child.pid;
    if (pid === undefined) throw new Error('The API has no process.');

    const made: Record<string, string> = {};
    for (const [size, bytes] of [['small', gigabytes * 1e8] as const, ['large', gigabytes * 1e9] as const]) {
      say(`Writing and backing up ${(bytes / 1e6).toFixed(0)} MB of noise, as one service and as two`);
      const halves = ['one', 'two'].map((half) => join(dir, size, half));
      for (const path of halves) await writeNoise(path, bytes / 2, signal);
      const services = {
        [`${size}-whole`]: halves,
        [`${size}-a`]: halves.slice(0, 1),
        [`${size}-b`]: halves.slice(1),
      };
      for (const [name, data_paths] of Object.entries(services)) {
        const service = { name, type: 'files', component: 'files', data_paths };
        await client.call('POST', `/api/servers/${server.id}/services`, service);
      }
      made[`${size} archive`] = await backUp(client, [`${size}-whole`], signal);
      made[`${size} tar`] = await backUp(client, [`${size}-a`, `${size}-b`], signal);
    }

    const fetched = async (what: string): Promise<Download> => {
      const base = await resetPeak(pid);
      const url = `${stack.url}/api/backups/${made[what]}/download`;
      const download = await fetchAll(url, signal, client.token);
      return { what, ...download, base, peak: await peakResident(pid) };
    };
    const downloads: Record<string, Download> = {};
    for (const what of Object.keys(made)) {
      // What the first one loads, from the disk and of the program, is nobody's; nginx has its file in memory, too.
      await fetched(what);
      downloads[what] = await fetched(what);
    }
    const files = context.own(await startFileServer(dir, await largestBelow(join(dir, 'stack'))));
    await fetchAll(files.url, signal);
    const plain = await fetchAll(files.url, signal);

    const rows = Object.values(downloads).map(({ what, bytes, seconds, base, peak }) => [
      ...[what, bytes / 1e6, seconds, bytes / 1e6 / seconds, base / 1e6, (peak - base) / 1e6],
    ]);
    rows.push(['nginx', plain.bytes / 1e6, plain.seconds, plain.bytes / 1e6 / plain.seconds, '-', '-']);
    say(`\n${table(['download', 'MB', 'seconds', 'MB/s', 'base MB', 'peak over base MB'], rows)}\n`);
    return ['archive', 'tar'].flatMap((kind) => figuresOf(kind, downloads, gigabytes, plain));
  },
};

function figuresOf(
  kind: string,
  downloads: Record<string, Download>,
  gigabytes: number,
  plain: { bytes: number; seconds: number },
): Figure[] {
  const [small, large] = [downloads[`small ${kind}`], downloads[`large ${kind}`]];
  if (!small || !large) throw new Error(`There is no download of the ${kind}.`);
  for (const [one, least] of [[small, gigabytes * 1e8] as const, [large, gigabytes * 1e9] as const]) {
    // Noise does not become smaller.
    if (one.bytes < least) throw new Error(`${one.what}: ${one.bytes} bytes came, and not ${least}.`);
  }
  const over = ({ peak, base }: Download): number => (peak - base) / 1e6;
  const speed = ({ bytes, seconds }: { bytes: number; seconds: number }): number => bytes / 1e6 / seconds;
  return [
    figure('download', `${kind}-peak-resident-mb-beside-a-tenth`, large.peak / 1e6, small.peak / 1e6),
    figure('download', `${kind}-over-base-mb-beside-a-tenth`, over(large), over(small)),
    figure('download', `${kind}-mb-per-second-nginx`, speed(large), speed(plain)),
  ];
}

async function backUp(client: Client, services: string[], signal: AbortSignal): Promise<string> {
  const { data } = await client.call('POST', '/api/backups/create', {
    ...{ type: 'full', services, encrypt: false, verify: false, compression_level: 1 },
  });
  await untilEnded(client, data.backup_id, signal);
  return data.backup_id;
}

async function writeNoise(folder: string, bytes: number, signal: AbortSignal): Promise<void> {
  await mkdir(folder, { recursive: true });
  const script = 'head -c "$1" /dev/urandom >"$2"';
  await run('sh', ['-c', script, 'sh', String(bytes), join(folder, 'noise')], { signal });
}

/** By another program, so that what it takes is not in the way of what is measured. */
async function fetchAll(
  url: string,
  signal: AbortSignal,
  token?: string,
): Promise<{ bytes: number; seconds: number }> {
  const header = token === undefined ? [] : ['--header', `authorization: Bearer ${token}`];
  const asked = ['--silent', '--show-error', '--fail', '--output', '/dev/null', ...header];
  const { stdout } = await run('curl', [...asked, '--write-out', '%{size_download} %{time_total}', url], {
    signal,
  });
  const [bytes = 0, seconds = 0] = stdout.split(' ').map(Number);
  return { bytes, seconds };
}
