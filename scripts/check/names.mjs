import { codeFolders, repositoryFiles, sourceFiles } from './files.mjs';

const vague = new Set(['shared', 'common', 'util', 'utils']);
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/;

/** Folders are named after what they hold, and files of code are kebab-case. */
export async function checkNames() {
  const problems = [];
  const folders = new Set(
    repositoryFiles()
      .filter((path) => codeFolders.includes(path.split('/')[0]))
      .map((path) => path.slice(0, path.lastIndexOf('/'))),
  );
  for (const folder of folders) {
    const found = folder.split('/').find((part) => vague.has(part));
    if (found) problems.push(`${folder}: a folder named "${found}" says nothing of what it holds.`);
  }
  for (const path of sourceFiles()) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (!kebab.test(name)) problems.push(`${path}: name files in kebab-case.`);
  }
  return { problems, note: `${folders.size} folders` };
}
