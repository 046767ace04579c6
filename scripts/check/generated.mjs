import { runProgram } from './process.mjs';

/** Generated code is made anew first: types and imports of the rest lean on it. */
export async function checkGenerated() {
  const { code, lines } = await runProgram(process.execPath, ['scripts/generate.mjs']);
  return {
    problems: code === 0 ? [] : lines,
    note: code === 0 ? 'up to date' : 'scripts/generate.mjs failed',
  };
}
