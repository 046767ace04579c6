const WIDTH = 28;

export interface ProgressView {
  phase: string;
  percent: number;
  bytes_done: number;
  bytes_total: number | null;
  files_done: number;
  bytes_per_second: number | null;
  seconds_left: number | null;
  current: string | null;
}

/** One line that is drawn again and again on a terminal, and now and then where there is none. */
export function createProgressBar(out: NodeJS.WriteStream = process.stdout) {
  let lastPlain = 0;
  let drawn = false;
  return {
    draw(label: string, progress: ProgressView): void {
      const filled = Math.round((progress.percent / 100) * WIDTH);
      const bar = `${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}`;
      const rate = progress.bytes_per_second === null ? '' : ` ${megabytes(progress.bytes_per_second)} MB/s`;
      const left = progress.seconds_left === null ? '' : `, ${progress.seconds_left} s left`;
      const line = `  ${label} [${bar}] ${String(progress.percent).padStart(3)} % ${progress.files_done} files${rate}${left}`;
      if (out.isTTY) {
        out.write(`\r\x1b[2K${line.slice(0, (out.columns ?? 100) - 1)}`);
        drawn = true;
      } else if (Date.now() - lastPlain > 2000) {
        out.write(`${line}\n`);
        lastPlain = Date.now();
      }
    },
    /** Clears the line, so that what follows stands on its own. */
    done(): void {
      if (drawn) out.write('\r\x1b[2K');
      drawn = false;
    },
  };
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
