import { runTool } from './process.mjs';

/** Knip: files, exports and dependencies that nothing uses, and dependencies that are used but not declared. */
export async function checkDeadCode() {
  const { code, lines } = await runTool('knip', [
    '--no-progress',
    '--no-config-hints',
    '--reporter',
    'symbols',
  ]);
  const count = lines
    .map((line) => /\((\d+)\)$/.exec(line)?.[1])
    .reduce((sum, one) => sum + Number(one ?? 0), 0);
  if (code === 0) return { problems: [], note: 'nothing unused' };
  return {
    problems: lines.map((line) => line.trimEnd()),
    note: `${count} found; knip.jsonc says what is looked at`,
  };
}
