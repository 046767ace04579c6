import { type FirstEntry, firstEntry } from '@tarfleet/archive';
import type { Session } from '@tarfleet/transport';
import { splitRecords } from '../nul-records.ts';
import { memberName } from '../paths.ts';
import type { LargeFile, LargeFileLook } from './large-files.ts';

/** Of one command; its arguments may have 120 KiB. */
const BATCH_FILES = 256;
const BATCH_BYTES = 64 * 1024;

/** For each argument the SHA-256 of its content, or nothing; NUL between. */
const HASHES = `for path do
  sum=
  [ -f "$path" ] && ! [ -L "$path" ] && sum=$(sha256sum <"$path" 2>/dev/null)
  printf '%s\\0' "\${sum%% *}"
done`;

/**
 * Looks with what the server has; null where it has no `sha256sum`. `tar` writes the archive of a list of names, and
 * is ended once it has written the headers; null where archives hold no attributes.
 */
export async function lookOnServer(
  session: Session,
  signal: AbortSignal,
  tar: readonly string[] | null,
): Promise<LargeFileLook | null> {
  const { tools } = await session.capabilities(signal);
  if (!tools.sha256sum) return null;
  return {
    async hashes(paths) {
      const all: (string | null)[] = [];
      for (const batch of inBatches(paths)) {
        const { stdout } = await session.run(['sh', '-c', HASHES, 'sh', ...batch], { signal });
        const records = splitRecords(stdout).map((record) => record.toString('latin1'));
        for (const at of batch.keys()) {
          const hash = records[at] ?? '';
          all.push(/^[0-9a-f]{64}$/.test(hash) ? hash : null);
        }
      }
      return all;
    },
    async xattrs(file) {
      if (tar === null) return '';
      const found = await look(session, signal, tar, file.path);
      return found && isPlain(found, file) ? found.xattrs : null;
    },
  };
}

function* inBatches(paths: readonly Buffer[]): Generator<Buffer[]> {
  let batch: Buffer[] = [];
  let bytes = 0;
  for (const path of paths) {
    if (batch.length >= BATCH_FILES || (batch.length > 0 && bytes + path.length > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(path);
    bytes += path.length;
  }
  if (batch.length > 0) yield batch;
}

/** What tar writes of a file before its content; null when it writes nothing: then it is read as any other. */
async function look(
  session: Session,
  signal: AbortSignal,
  tar: readonly string[],
  path: Buffer,
): Promise<FirstEntry | null> {
  const process = await session.exec(tar, { signal });
  // It is ended before it has written all.
  process.done.catch(() => undefined);
  process.stderr.resume();
  process.stdin.end(Buffer.concat([memberName(path), Buffer.from([0])]));
  try {
    return await firstEntry(process.stdout);
  } catch {
    // Whatever is wrong with the connection or with tar shows again when everything is read.
    signal.throwIfAborted();
    return null;
  } finally {
    process.stdout.destroy();
  }
}

function isPlain({ entry, sparse }: FirstEntry, { path, facts }: LargeFile): boolean {
  return (
    entry.type === 'file' &&
    !sparse &&
    entry.path.equals(memberName(path)) &&
    entry.size === facts.size &&
    entry.mode === facts.mode &&
    entry.uid === facts.uid &&
    entry.gid === facts.gid &&
    entry.mtime === Number(facts.mtime)
  );
}
