import type { Readable } from 'node:stream';

/** Longer lines are cut: the longest name, with every byte escaped, is well below it. */
const LINE_MAX = 64 * 1024;
/** Of a line in a message; programs name the file first and say what is wrong with it last. */
const BEGIN_MAX = 300;
const END_MAX = 200;

/** Calls back for each line, as one character per byte, until the stream ends; rejects when it breaks. */
export async function readLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  let rest = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, LINE_MAX);
    for (const line of lines) onLine(line);
  }
  if (rest !== '') onLine(rest);
}

/** Keeps the last lines of a command that is not understood, for the message of its failure. */
export function createTail(lines = 5): { add(line: string): void; text(): string } {
  const kept: string[] = [];
  return {
    add(line) {
      kept.push(Buffer.from(shortened(line), 'latin1').toString('utf8'));
      if (kept.length > lines) kept.shift();
    },
    text: () => (kept.length > 0 ? kept.join('\n') : 'it printed nothing'),
  };
}

function shortened(line: string): string {
  if (line.length <= BEGIN_MAX + END_MAX) return line;
  return `${line.slice(0, BEGIN_MAX)}...${line.slice(-END_MAX)}`;
}
