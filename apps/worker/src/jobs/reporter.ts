import type { EventBatch, JobEvent, JobEventBody, JobKind } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';

/** How long events wait for company before they travel, in milliseconds. */
const GATHER_MS = 300;
const BATCH_EVENTS = 500;
/** More warnings than this are counted, not sent: a million unreadable files must not flood the record. */
const MAX_WARNINGS = 1000;

export interface Warning {
  code: string;
  message: string;
  /** A file's name as its bytes. */
  path?: Buffer;
  /** How many it stands for; left out, one. */
  count?: number;
}

export interface JobReporter {
  /**
   * Runs one named step between its started and its completed or failed event. `told` says at the end what came of
   * it; without it the message stays.
   */
  step<T>(
    name: string,
    message: string,
    action: () => Promise<T>,
    told?: (value: T) => { message?: string; details?: Record<string, unknown> },
  ): Promise<T>;
  warn(warning: Warning): void;
  /** How many warnings so far, those that were only counted too. */
  warnings(): number;
  emit(body: JobEventBody): void;
  /** Resolves when everything emitted so far is in the queue. */
  flush(): Promise<void>;
  /** Forgets what has not gone yet: the attempt no longer counts. */
  drop(): void;
}

export interface ReporterOptions {
  jobId: string;
  kind: JobKind;
  attempt: number;
  token: string;
  publish(batch: EventBatch): Promise<void>;
  /** The attempt's: why it was aborted is what a step says that failed from it. */
  signal?: AbortSignal;
}

/**
 * Numbers the events of one attempt and hands them to the queue in order, in batches. `emit` and `warn` return
 * at once; a publish that fails for good shows in the next `flush`.
 */
export function createReporter(options: ReporterOptions): JobReporter {
  let seq = 0;
  let steps = 0;
  let warnings = 0;
  let told = 0;
  /** Those that were told, or of which was told how many they are. */
  let listed = 0;
  const waiting: JobEvent[] = [];
  let timer: NodeJS.Timeout | undefined;
  let chain: Promise<void> = Promise.resolve();

  const send = (): void => {
    clearTimeout(timer);
    timer = undefined;
    while (waiting.length > 0) {
      const events = waiting.splice(0, BATCH_EVENTS);
      const { jobId, kind, attempt, token } = options;
      chain = chain.then(() =>
        options.publish({ v: 1, type: 'events', jobId, kind, attempt, token, events }),
      );
    }
    // The fault stays in the chain for flush; it must not be an unhandled rejection meanwhile.
    chain.catch(() => undefined);
  };

  const emit = (body: JobEventBody): void => {
    seq += 1;
    waiting.push({ ...body, seq, at: new Date().toISOString() } as JobEvent);
    if (waiting.length >= BATCH_EVENTS) send();
    else timer ??= setTimeout(send, GATHER_MS);
  };

  const flush = async (): Promise<void> => {
    const more = warnings - listed;
    if (more > 0) {
      emit({ type: 'warning', code: 'MORE_WARNINGS', message: `${more} more warnings are not listed.` });
      listed = warnings;
    }
    send();
    await chain;
  };

  return {
    async step(name, message, action, told) {
      steps += 1;
      const number = steps;
      emit({ type: 'step', number, name, status: 'started', message });
      try {
        const value = await action();
        emit({ type: 'step', number, name, status: 'completed', message, ...told?.(value) });
        return value;
      } catch (error) {
        const cause: unknown = options.signal?.aborted ? options.signal.reason : error;
        emit({ type: 'step', number, name, status: 'failed', message: describeFault(cause) });
        // What is done about it may end this process: the record then still says why.
        send();
        throw error;
      }
    },
    warn(warning) {
      warnings += warning.count ?? 1;
      told += 1;
      if (told > MAX_WARNINGS) return;
      listed += warning.count ?? 1;
      emit({
        type: 'warning',
        code: warning.code,
        message: warning.message,
        ...(warning.path ? describePath(warning.path) : {}),
      });
    },
    warnings: () => warnings,
    emit,
    flush,
    drop() {
      clearTimeout(timer);
      timer = undefined;
      waiting.length = 0;
    },
  };
}

/** Texts of other errors may hold anything, so they stay inside; the reason of a cancel is told with the job. */
function describeFault(error: unknown): string {
  if (!(error instanceof AppError)) return 'failed';
  return error.code === 'CANCELLED' ? 'cancelled' : error.message;
}

/** A name as text, and as base64 beside it when the text does not say it all. */
function describePath(bytes: Buffer): { path: string; pathBase64?: string } {
  const path = bytes.toString('utf8').replaceAll('\0', '\uFFFD');
  return Buffer.from(path, 'utf8').equals(bytes) ? { path } : { path, pathBase64: bytes.toString('base64') };
}
