import {
  type ArchiveRoot,
  paddingOf,
  TAR_END,
  type TarEntry,
  tarComment,
  tarHeader,
} from '@tarfleet/archive';
import { PROJECT_RECORDS, RECORD_KINDS } from '@tarfleet/contracts';
import { indexedTar } from '../databases/dump-tar.ts';
import type { Capture } from '../types.ts';
import { fileOf, RECORDS_FOLDER } from './record-files.ts';
import { LINE_KINDS, unpackRecords } from './record-lines.ts';

/** Under which all entries of the archive lie. */
const ROOT: ArchiveRoot = { path: Buffer.from(`/${RECORDS_FOLDER}`), type: 'directory' };

export interface RecordsCaptureOptions {
  /** As the plan brought them, and opened. */
  packed: Buffer;
  signal: AbortSignal;
  onEntry(entry: TarEntry): void;
}

/** The project's own records as an archive: `metadata.json`, and a list for each kind. They are in memory, within their bounds. PLAN_INVALID. */
export async function captureRecords({ packed, signal, onEntry }: RecordsCaptureOptions): Promise<Capture> {
  const lists = await unpackRecords(packed);
  const files = LINE_KINDS.map((kind) => ({
    path: `${RECORDS_FOLDER}/${fileOf(kind)}`,
    content: Buffer.from((lists.get(kind) ?? []).map((line) => `${line}\n`).join('')),
  })).sort((a, b) => (a.path < b.path ? -1 : 1));
  const mtime = String(Math.floor(Date.now() / 1000));
  const header = (path: string, type: 'file' | 'directory', size: number): Buffer => {
    const facts = { mode: type === 'file' ? 0o600 : 0o700, uid: 0, gid: 0, linkTarget: null };
    return tarHeader({ ...facts, path: Buffer.from(path), type, size, mtime });
  };
  async function* pieces(): AsyncGenerator<Buffer> {
    yield tarComment([ROOT]);
    yield header(RECORDS_FOLDER, 'directory', 0);
    for (const { path, content } of files) {
      yield header(path, 'file', content.length);
      yield content;
      yield Buffer.alloc(paddingOf(content.length));
    }
    yield TAR_END;
  }
  const { tar, index } = indexedTar(pieces(), { mtime, signal, onEntry });
  const records = RECORD_KINDS.reduce((sum, kind) => sum + (lists.get(kind)?.length ?? 0), 0);
  return {
    roots: [ROOT],
    totals: {
      ...{ files: files.length, directories: 1, other: 0 },
      bytes: files.reduce((sum, { content }) => sum + content.length, 0),
    },
    ...{ tar, index, unreadable: () => [] },
    database: () => ({
      ...{ method: PROJECT_RECORDS.method, serverVersion: '', databases: [] },
      ...{ tables: RECORD_KINDS.length, records },
    }),
    async close() {
      tar.destroy();
    },
  };
}
