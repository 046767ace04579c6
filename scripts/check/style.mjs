import { runTool } from './process.mjs';

/** Biome: format and lint, nothing written. */
export async function checkStyle() {
  const args = ['--colors=off', '--reporter=concise', '--diagnostic-level=error', '--max-diagnostics=none'];
  const { code, lines } = await runTool('biome', ['ci', ...args, '.']);
  const faults = lines.filter((line) => line.startsWith('×'));
  const note = lines.find((line) => /^Checked \d+ files/.test(line))?.split(' in ')[0] ?? 'nothing checked';
  return { problems: code === 0 ? [] : faults.length > 0 ? faults : lines, note };
}
