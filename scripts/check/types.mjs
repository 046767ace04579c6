import { runTool } from './process.mjs';

/** TypeScript, package by package. Turbo skips those whose sources, and those of what they import, did not change. */
export async function checkTypes() {
  // Two compilers at a time: each takes half a gigabyte.
  const args = [
    'run',
    'check',
    '--continue',
    '--concurrency=2',
    '--output-logs=errors-only',
    '--no-update-notifier',
  ];
  const { code, lines } = await runTool('turbo', args, {
    env: { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
  });
  const summary = (word) => lines.map((line) => new RegExp(`${word}:\\s+(.+)`).exec(line)?.[1]).find(Boolean);
  const note = `${summary('Tasks') ?? 'turbo did not run'}; ${summary('Cached') ?? 'none cached'}`;
  if (code === 0) return { problems: [], note };
  const errors = lines.filter((line) => line.includes('error TS')).map(pathFromRoot);
  return { problems: errors.length > 0 ? errors : lines, note };
}

/** `@tarfleet/x:check: src/a.ts(1,2): error ...`, where a message may go on in lines that are left out. */
function pathFromRoot(line) {
  return line.replace(/^@tarfleet\/([^:]+):check: /, '$1: ');
}
