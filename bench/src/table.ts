type Row = readonly (string | number)[];

/** Rows as text, in columns; numbers to the right, with two decimals where they are not whole. */
export function table(head: readonly string[], rows: readonly Row[]): string {
  const cells = rows.map((row) => row.map(show));
  const widths = head.map((name, column) =>
    Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[], source?: Row): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return typeof source?.[column] === 'number' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [
    line(head),
    line(widths.map((width) => '-'.repeat(width))),
    ...cells.map((row, index) => line(row, rows[index])),
  ].join('\n');
}

function show(value: string | number): string {
  if (typeof value === 'string') return value;
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 0.1 ? 4 : 2);
}
