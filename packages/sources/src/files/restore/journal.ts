import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { RestoreSummary } from '../../types.ts';

/** A restore's record on the server itself: a job that is delivered a second time finds it and does nothing. */
export interface Journal {
  /** What an earlier delivery did, or null. */
  read(): Promise<RestoreSummary | null>;
  /** Written whole or not at all. Records older than 30 days are removed on this occasion. */
  write(summary: RestoreSummary): Promise<void>;
}

/** Root's lies in /var/lib, anybody else's in the own home. */
const FOLDER = `[ "$(id -u)" = 0 ] && top=/var/lib/tarfleet || top=\${HOME:?}/.tarfleet
folder=$top/restores
`;
const READ_SCRIPT = `${FOLDER}[ -f "$folder/$1.json" ] || exit 0
cat -- "$folder/$1.json"`;
const WRITE_SCRIPT = `${FOLDER}umask 077
mkdir -p -- "$folder" && chmod 700 -- "$folder" && cat >"$folder/.$1.new" &&
{ sync -- "$folder/.$1.new" 2>/dev/null; mv -f -T -- "$folder/.$1.new" "$folder/$1.json"; } || exit 1
find "$folder/" -maxdepth 1 -type f -mtime +30 -delete 2>/dev/null
exit 0`;

export function createJournal(session: Session, jobId: string, signal: AbortSignal): Journal {
  return {
    async read() {
      const found = await session.run(['sh', '-c', READ_SCRIPT, 'sh', jobId], { signal });
      if (found.code !== 0) throw fault('read', found.stderr);
      return found.stdout.length > 0 ? parseRecord(found.stdout) : null;
    },
    async write(summary) {
      const input = Buffer.from(`${JSON.stringify({ summary })}\n`);
      const written = await session.run(['sh', '-c', WRITE_SCRIPT, 'sh', jobId], { signal, input });
      if (written.code !== 0) throw fault('written', written.stderr);
    },
  };
}

function parseRecord(bytes: Buffer): RestoreSummary {
  const record = asObject(tryParse(bytes));
  const summary = asObject(record?.summary);
  const [filesRestored, filesSkipped, bytesRestored] = [
    summary?.filesRestored,
    summary?.filesSkipped,
    summary?.bytesRestored,
  ];
  if (
    typeof filesRestored === 'number' &&
    typeof filesSkipped === 'number' &&
    typeof bytesRestored === 'number'
  ) {
    return { filesRestored, filesSkipped, bytesRestored };
  }
  throw new AppError(
    'RESTORE_FAILED',
    "The server's record of this restore is damaged: start a new restore.",
  );
}

function tryParse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    // Told apart by the caller: what is no JSON is no record either.
    return null;
  }
}

function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}

function fault(what: string, stderr: Buffer): AppError {
  return new AppError(
    'COMMAND_FAILED',
    `The server's record of this restore could not be ${what}: ${stderr.toString().trim() || 'no reason given'}`,
  );
}
