import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { codeFolders } from './files.mjs';
import { cruise, ruleNames } from './imports.mjs';
import { allowed, forbidden } from './imports-plants.mjs';
import { root, withCleanUp } from './process.mjs';

/**
 * Proves that the import rules find what they forbid: plants one file for each rule in a copy of the tree, and
 * runs the same enforcer with the same rules on it. Some planted files break no rule, and must not be found.
 */
export async function proveImports() {
  const copy = mkdtempSync(join(tmpdir(), 'tarfleet-imports-'));
  return withCleanUp(
    () => rmSync(copy, { recursive: true, force: true }),
    async () => {
      copyTree(copy);
      for (const each of forbidden) plant(copy, each);
      for (const each of allowed) plant(copy, each);
      const { modules, violations } = await cruise(copy);
      const planted = new Set(forbidden.map(({ rule }) => rule));
      const unproved = ruleNames.filter((rule) => !planted.has(rule));
      const problems = unproved.map((rule) => `${rule} is not proved: plant a fault for it.`);
      for (const { file, rule, code } of forbidden) {
        const found = violations.some((each) => each.rule === rule && [each.from, each.to].includes(file));
        if (!found) problems.push(`${rule} did not find "${code.trim()}" in ${file}.`);
      }
      for (const { file, code } of allowed) {
        if (!modules.has(file)) problems.push(`${file} was not looked at.`);
        const found = violations.filter((violation) => violation.from === file);
        for (const { rule } of found) problems.push(`${rule} wrongly forbids "${code.trim()}" in ${file}.`);
      }
      return { problems, note: `${forbidden.length} faults planted, ${allowed.length} fair imports` };
    },
  );
}

/** Sources are copied; the links to other rooms are copied as links, so that they lead to the copy's rooms. */
function copyTree(copy) {
  for (const folder of codeFolders) {
    if (!existsSync(join(root, folder))) continue;
    cpSync(join(root, folder), join(copy, folder), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !['.turbo', '.bin', '.cache'].includes(basename(path)),
    });
  }
  for (const file of ['package.json', 'pnpm-workspace.yaml', 'tsconfig.base.json']) {
    cpSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}

/** Writes the file, and installs what it imports: a rule must hold where package.json was widened, too. */
function plant(copy, { file, code, installed = {} }) {
  const path = join(copy, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${code}\n`);
  const [home] = /^(?:(?:apps|packages)\/)?[^/]+/.exec(file);
  for (const [name, target] of Object.entries(installed)) {
    const link = join(copy, home, 'node_modules', name);
    if (existsSync(link)) continue;
    const from = target.startsWith('.pnpm/') ? join(root, 'node_modules', target) : join(copy, target);
    if (!existsSync(from)) throw new Error(`${from} is not there; run pnpm install first.`);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(from, link);
  }
}
