/** What the tests of database sources share: captures read to their end, and what their archives hold. */
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createTarWalker, type IndexEntry, type TarEntry } from '@tarfleet/archive';
import type { DatabaseFacts, DatabaseTarget, ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { calm, until } from '../files/testing-sessions.ts';
import type { PrepareOptions, SourceWarning } from '../types.ts';
import { createDatabaseSource } from './create-database-source.ts';

export interface CapturedDatabase {
  /** Name of each dump to its bytes, its parts put together in their order. */
  dumps: Map<string, Buffer>;
  facts: DatabaseFacts;
  warnings: SourceWarning[];
  entries: TarEntry[];
  index: Pick<IndexEntry, 'path' | 'sha256'>[];
  tar: Buffer;
  serviceId: string;
}

export function databaseService(database: DatabaseTarget, id: string = randomUUID()): ServiceTarget {
  return {
    ...{ id, name: 'db', type: database.type, component: 'database', database },
    ...{ configPaths: [], dataPaths: [], exclude: [] },
  };
}

export async function captureWhole(
  session: Session,
  database: DatabaseTarget,
  {
    password = null,
    signal = calm(),
    serviceId,
  }: { password?: string | null; signal?: AbortSignal; serviceId?: string } = {},
): Promise<CapturedDatabase> {
  const source = createDatabaseSource({ openSecrets: async () => (password === null ? null : { password }) });
  const service = databaseService(database, serviceId);
  const warnings: SourceWarning[] = [];
  const entries: TarEntry[] = [];
  const capture = await source.capture({
    ...{ session, signal, service, parent: null, deduplicate: 'none' },
    warn: (warning) => warnings.push(warning),
    onEntry: (entry) => entries.push(entry),
  });
  try {
    const tar = await buffer(capture.tar);
    const facts = capture.database?.();
    if (!facts) throw new Error('a database says what it holds');
    const index: CapturedDatabase['index'] = [];
    for await (const run of capture.index()) {
      for (const line of run.text.toString().trim().split('\n')) {
        const { path, sha256 = null } = JSON.parse(line);
        index.push({ path: Buffer.from(path), sha256 });
      }
    }
    return { dumps: await joined(tar), facts, warnings, entries, index, tar, serviceId: service.id };
  } finally {
    await capture.close();
  }
}

/** Options of a restore that is cancelled when all of the archive but its end has passed, and this is so. */
export function cancelledWhen(
  tar: Buffer,
  ready: () => Promise<boolean>,
): Pick<PrepareOptions, 'openTar' | 'signal'> {
  const controller = new AbortController();
  async function* begin(): AsyncGenerator<Buffer> {
    yield tar.subarray(0, -512);
    await until(ready);
    controller.abort(new AppError('CANCELLED', 'Cancelled.'));
    throw controller.signal.reason;
  }
  return { signal: controller.signal, openTar: async () => Readable.from(begin()) };
}

async function joined(tar: Buffer): Promise<Map<string, Buffer>> {
  const dumps = new Map<string, Buffer>();
  const walker = createTarWalker({
    onEntry({ path, type, size, offset }) {
      const match = /^dump\/(.+)\.\d{6}$/.exec(path.toString());
      if (type !== 'file' || !match?.[1]) return;
      const content = tar.subarray(offset + 512, offset + 512 + size);
      dumps.set(match[1], Buffer.concat([dumps.get(match[1]) ?? Buffer.alloc(0), content]));
    },
  });
  walker.end(tar);
  await buffer(walker);
  return dumps;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
