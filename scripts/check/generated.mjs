import { runProgram } from './process.mjs';

/** Generated code is made anew first: types and imports of the rest lean on it. What is committed must be what would be made. */
export async function checkGenerated() {
  const problems = [];
  for (const args of [['scripts/generate.mjs'], ['scripts/generate-sdk.mjs', '--check']]) {
    const { code, lines } = await runProgram(process.execPath, args);
    if (code !== 0) problems.push(...(lines.length > 0 ? lines : [`${args[0]} failed`]));
  }
  return { problems, note: problems.length === 0 ? 'up to date' : 'not up to date' };
}
