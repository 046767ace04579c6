import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { codeFolders, sourceFiles } from './files.mjs';
import { compareTable } from './imports-table.mjs';
import { root, runTool } from './process.mjs';

const config = join(root, '.dependency-cruiser.cjs');

/** The import rules of .dependency-cruiser.cjs hold, and every file of ours was looked at. */
export async function checkImports() {
  const files = sourceFiles();
  const { modules, violations, imports } = await cruise(root);
  const problems = violations.map(({ rule, from, to }) => `${from} -> ${to}: ${rule}. ${commentOf(rule)}`);
  // An enforcer that sees nothing finds nothing to complain of.
  const unseen = files.filter((path) => !modules.has(path));
  for (const path of unseen) problems.push(`${path} was not looked at.`);
  if (files.length < 40)
    problems.push(`Only ${files.length} files of code were found; there should be more.`);
  if (imports < files.length) problems.push(`Only ${imports} imports were seen in ${files.length} files.`);
  problems.push(...roomsWithoutRule(files), ...compareTable(forbidden));
  return { problems, note: `${modules.size} modules, ${imports} imports` };
}

/** Runs dependency-cruiser on a tree laid out like this one. Paths are relative to that tree. */
export async function cruise(tree) {
  const { stdout, lines } = await runTool(
    'depcruise',
    ['--config', config, '--no-cache', '--progress', 'none', '--output-type', 'json', ...codeFolders],
    { cwd: tree },
  );
  let result;
  try {
    result = JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`dependency-cruiser gave no report:\n${lines.slice(0, 20).join('\n')}`, { cause });
  }
  const ours = result.modules.filter((module) => codeFolders.includes(module.source.split('/')[0]));
  return {
    modules: new Set(ours.map((module) => module.source)),
    imports: ours.reduce((sum, module) => sum + module.dependencies.length, 0),
    violations: result.summary.violations
      .filter((violation) => violation.rule.severity === 'error')
      .map((violation) => ({ rule: violation.rule.name, from: violation.from, to: violation.to })),
  };
}

const { forbidden } = createRequire(import.meta.url)(config);
export const ruleNames = forbidden.map((rule) => rule.name);
const commentOf = (name) => forbidden.find((rule) => rule.name === name)?.comment ?? '';

/** A new folder under apps/ or packages/ must be given its place in the table. */
function roomsWithoutRule(files) {
  return ['apps', 'packages']
    .flatMap((parent) =>
      readdirSync(join(root, parent)).map((name) => ({ name, folder: `${parent}/${name}` })),
    )
    .filter(({ folder }) => files.some((path) => path.startsWith(`${folder}/`)))
    .filter(({ name }) => !forbidden.some((rule) => rule.name === `room-${name}`))
    .map(({ folder }) => `${folder} has no rule in .dependency-cruiser.cjs.`);
}
