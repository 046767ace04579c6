import { AppError } from '@tarfleet/kernel';

/** Of one row: all of it is in memory. */
const LINE_MAX = 256 * 1024 * 1024;
/** How much text is put together before it is passed on. */
const CHUNK = 256 * 1024;
const NEWLINE = 0x0a;

/** The lines of a stream of UTF-8, some at a time and without their ends; a last one without an end is given, too. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string[]> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const end = chunk.lastIndexOf(NEWLINE);
    if (end === -1) {
      waiting.push(chunk);
      bytes += chunk.length;
      if (bytes > LINE_MAX) throw new AppError('NOT_SUPPORTED', `A row is longer than ${LINE_MAX} bytes.`);
      continue;
    }
    const whole = Buffer.concat([...waiting, chunk.subarray(0, end)]);
    waiting = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : [];
    bytes = chunk.length - end - 1;
    yield whole.toString('utf8').split('\n');
  }
  if (bytes > 0) yield [Buffer.concat(waiting).toString('utf8')];
}

/** Lines, each made another by `change`, as bytes. */
export async function* changedLines(
  lines: AsyncIterable<readonly string[]>,
  change: (line: string) => string,
): AsyncGenerator<Buffer> {
  let text = '';
  for await (const some of lines) {
    for (const line of some) {
      text += `${change(line)}\n`;
      if (text.length < CHUNK) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}
