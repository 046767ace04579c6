// `pnpm check [name ...] [--all]`: everything about the repository that can be checked without running it. One line per
// check; all of them run even when one fails; the exit code is 1 when any failed. Names choose some of them;
// --all shows every line that a check has to say.
import { checkDeadCode } from './check/dead-code.mjs';
import { checkDocuments } from './check/documents.mjs';
import { checkEnvironment } from './check/environment.mjs';
import { checkGenerated } from './check/generated.mjs';
import { checkImports } from './check/imports.mjs';
import { proveImports } from './check/imports-proof.mjs';
import { checkLength } from './check/length.mjs';
import { checkLinks } from './check/links.mjs';
import { checkNames } from './check/names.mjs';
import { cleanUpOnSignals } from './check/process.mjs';
import { checkStyle } from './check/style.mjs';
import { checkTypes } from './check/types.mjs';

/** Each gives `{ problems, warnings?, note }`, lists of lines and a few words about what it saw. */
const checks = {
  generated: checkGenerated,
  types: checkTypes,
  style: checkStyle,
  imports: checkImports,
  'imports-proof': proveImports,
  'dead-code': checkDeadCode,
  length: checkLength,
  environment: checkEnvironment,
  names: checkNames,
  links: checkLinks,
  documents: checkDocuments,
};

const all = process.argv.includes('--all');
const shown = all ? Number.POSITIVE_INFINITY : 40;
const chosen = process.argv.slice(2).filter((argument) => argument !== '--all');
const unknown = chosen.filter((name) => !(name in checks));
if (unknown.length > 0) {
  console.error(`No such check: ${unknown.join(', ')}. There are: ${Object.keys(checks).join(', ')}.`);
  process.exit(2);
}

cleanUpOnSignals();
const failed = [];
for (const [name, check] of Object.entries(checks)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const start = performance.now();
  const { problems, warnings = [], note } = await check().catch(crashed);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const ok = problems.length === 0;
  if (!ok) failed.push(name);
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(14)} ${seconds.padStart(6)} s  ${note}`);
  for (const line of problems.slice(0, shown)) console.log(`        ${line}`);
  if (problems.length > shown) {
    console.log(`        ... and ${problems.length - shown} more lines: pnpm check ${name} --all`);
  }
  for (const line of warnings) console.log(`        warning: ${line}`);
}
console.log(failed.length === 0 ? 'Every check is ok.' : `Not ok: ${failed.join(', ')}.`);
process.exitCode = failed.length === 0 ? 0 : 1;

/** A check that cannot run has failed; the others still run. */
function crashed(error) {
  return { problems: String(error?.stack ?? error).split('\n'), note: 'could not run' };
}
