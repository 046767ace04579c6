/** The last words of a program, short and on one line, for a message. Empty when it said nothing. */
export function lastWords(output: Buffer | string, { lines = 3, chars = 400 } = {}): string {
  return output
    .toString()
    .replaceAll('\r', '\n')
    .replaceAll(/[^\P{C}\n]/gu, '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .slice(-lines)
    .join('; ')
    .slice(-chars);
}
