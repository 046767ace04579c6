import { createDeadline } from './deadline.ts';
import type { Http } from './http.ts';
import { createSseParser, type SseEvent } from './sse-parser.ts';

/** Where the streams of one job are, from one to the next. */
export interface StreamPlace {
  lastEventId: string;
  /** How many in a row told nothing. */
  mute: number;
  /** How long to wait before the next one, in milliseconds. */
  pauseMs: number;
}

/** The API sends at least a comment every 15 seconds or so; what is silent for longer is cut off, in milliseconds. */
const SILENCE_MS = 45_000;
/** Where the stream does not say, in milliseconds. */
const REOPEN_MS = 1_000;

export function firstPlace(): StreamPlace {
  return { lastEventId: '', mute: 0, pauseMs: REOPEN_MS };
}

/**
 * The events of a job from a place on, until the stream ends, however it does: what became of the job, a look at it
 * tells. Rejects with the signal's reason alone. Who stops reading closes the stream.
 */
export async function* readJobEvents(
  http: Http,
  jobId: string,
  place: StreamPlace,
  signal: AbortSignal,
): AsyncGenerator<SseEvent> {
  const deadline = createDeadline(signal, SILENCE_MS);
  const parser = createSseParser(place.lastEventId);
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let said = false;
  try {
    reader = await open(http, jobId, place.lastEventId, deadline.signal);
    while (reader) {
      const events = await nextEvents(reader, parser.push);
      if (!events) break;
      deadline.restart();
      for (const event of events) {
        said = true;
        place.lastEventId = event.lastEventId;
        yield event;
      }
    }
  } finally {
    deadline.end();
    await reader?.cancel().catch(() => undefined); // It may be broken already.
    place.mute = said ? 0 : place.mute + 1;
    place.pauseMs = parser.retryMs ?? REOPEN_MS;
  }
  signal.throwIfAborted();
}

async function open(http: Http, jobId: string, lastEventId: string, signal: AbortSignal) {
  const path = `/api/jobs/${encodeURIComponent(jobId)}/events`;
  const headers: Record<string, string> = lastEventId === '' ? {} : { 'last-event-id': lastEventId };
  // Whatever is wrong with the request, the look that follows says it, too.
  const response = await http.stream(path, headers, signal).catch(() => null);
  const { body } = response ?? {};
  if (!response?.ok || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    await body?.cancel().catch(() => undefined);
    return undefined;
  }
  return body?.getReader();
}

/** Null when the stream has ended, broke off, or is no stream of events. */
async function nextEvents(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  push: (bytes: Uint8Array) => SseEvent[],
): Promise<SseEvent[] | null> {
  try {
    const { done, value } = await reader.read();
    return done || !value ? null : push(value);
  } catch {
    return null; // It goes on in another one.
  }
}
