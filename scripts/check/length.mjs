import { longFiles } from './exceptions.mjs';
import { isTest, readText, sourceFiles } from './files.mjs';

const limit = 250;
const testWarning = 400;

/** No source file is over 250 lines without a reason; a test over 400 is worth a look. */
export async function checkLength() {
  const problems = [];
  const warnings = [];
  const files = sourceFiles();
  let longest = 0;
  for (const path of files) {
    const lines = readText(path).replace(/\n$/, '').split('\n').length;
    if (isTest(path)) {
      if (lines > testWarning)
        warnings.push(`${path} has ${lines} lines; a test over ${testWarning} is hard to read.`);
      continue;
    }
    longest = Math.max(longest, lines);
    const excused = Object.hasOwn(longFiles, path);
    if (lines > limit && !excused)
      problems.push(`${path} has ${lines} lines; the limit is ${limit}. Split it.`);
    if (lines <= limit && excused) problems.push(`${path} needs no exception any more.`);
  }
  for (const path of Object.keys(longFiles)) {
    if (!files.includes(path)) problems.push(`The exception for ${path} names no file.`);
  }
  return { problems, warnings, note: `${files.length} files, longest ${longest} lines` };
}
