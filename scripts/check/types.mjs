import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { root, runTool } from './process.mjs';

/** TypeScript, package by package. Turbo skips those for which nothing changed. */
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
  // A fault is seen by every package that imports the file.
  const errors = [...new Set(lines.filter((line) => line.includes('error TS')).map(pathFromRoot))].sort();
  return { problems: errors.length > 0 ? errors : lines, note };
}

/** `@tarfleet/x:check: src/a.ts(1,2): error ...` with the path from the root; a message's further lines are left out. */
function pathFromRoot(line) {
  const [, name, path, rest] = /^@tarfleet\/([^:]+):check: ([^(]+)(\(.+)$/.exec(line) ?? [];
  if (name === undefined) return line;
  const folder = [`apps/${name}`, `packages/${name}`, name].find((each) => existsSync(join(root, each)));
  return `${posix.join(folder ?? name, path)}${rest}`;
}
