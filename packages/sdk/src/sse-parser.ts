/** Server-sent events as the HTML standard has them: https://html.spec.whatwg.org/multipage/server-sent-events.html */

export interface SseEvent {
  /** `message` where the stream says nothing. */
  type: string;
  data: string;
  /** Of this event or of the last one before it that had one; empty before the first. */
  lastEventId: string;
}

export interface SseParser {
  /** The events that are whole with this piece, whose bytes may be cut anywhere. RangeError for one that is too large. */
  push(bytes: Uint8Array): SseEvent[];
  /** How long the stream asks to wait before it is opened again, in milliseconds; null when it did not say. */
  readonly retryMs: number | null;
}

/** More than any event of the API; what never ends must not fill the memory. In UTF-16 units. */
const LONGEST = 1 << 20;

/** `lastEventId`: that of an earlier stream which this one goes on with. */
export function createSseParser(lastEventId = ''): SseParser {
  // Drops a byte order mark at the very beginning, and holds back halves of characters.
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let afterCr = false;
  let type = '';
  let data: string[] = [];
  let size = 0;
  let id = lastEventId;
  let retryMs: number | null = null;

  const readField = (line: string): void => {
    const colon = line.indexOf(':');
    if (colon === 0) return; // A comment.
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (name === 'event') type = value;
    else if (name === 'data') data.push(value);
    else if (name === 'id' && !value.includes('\0')) id = value;
    else if (name === 'retry' && /^[0-9]{1,9}$/.test(value)) retryMs = Number(value);
  };
  const dispatch = (events: SseEvent[]): void => {
    if (data.length > 0) events.push({ type: type || 'message', data: data.join('\n'), lastEventId: id });
    type = '';
    data = [];
    size = 0;
  };

  return {
    get retryMs() {
      return retryMs;
    },
    push(bytes) {
      let text = decoder.decode(bytes, { stream: true });
      // The second half of a CRLF whose first half ended the piece before.
      if (afterCr && text !== '') {
        if (text[0] === '\n') text = text.slice(1);
        afterCr = false;
      }
      const events: SseEvent[] = [];
      let from = 0;
      // Lines end with CRLF, LF or CR alone; a CR at the very end is a whole end, whatever comes next.
      const ends = /\r\n|\n|\r/g;
      for (let end = ends.exec(text); end; end = ends.exec(text)) {
        const line = rest + text.slice(from, end.index);
        rest = '';
        from = ends.lastIndex;
        if (line === '') dispatch(events);
        else readField(line);
        size += line.length;
        assertFits(size);
      }
      afterCr ||= text.endsWith('\r');
      rest += text.slice(from);
      assertFits(size + rest.length);
      return events;
    },
  };
}

function assertFits(length: number): void {
  if (length > LONGEST) throw new RangeError('An event of the stream is too large.');
}
