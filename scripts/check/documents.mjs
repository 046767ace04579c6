import { posix } from 'node:path';
import { readText, repositoryFiles } from './files.mjs';

const PAGE = 'docs/documents.md';
/** A route, the file of a test, and its name. */
const ROW = /^\| `(GET|POST|PUT|PATCH|DELETE) (\S+)` \| \[[^\]]*\]\(([^)]+)\) \| (.+?) \|$/;

/** Every route of the documents has a test, which is there under its name. */
export async function checkDocuments() {
  const files = new Set(repositoryFiles());
  const problems = [];
  const routes = new Set();
  let tests = 0;
  for (const [index, line] of readText(PAGE).split('\n').entries()) {
    if (!line.startsWith('| `')) continue;
    const at = `${PAGE}:${index + 1}`;
    const [, method, route, link, name] = ROW.exec(line) ?? [];
    if (name === undefined) {
      problems.push(`${at} is no row of a route, a linked file and the name of a test.`);
      continue;
    }
    routes.add(`${method} ${route}`);
    tests += 1;
    const file = posix.join(posix.dirname(PAGE), link);
    if (!files.has(file)) problems.push(`${at} names ${file}, which is not there.`);
    else if (!namesTest(readText(file), name)) problems.push(`${at}: ${file} has no test "${name}".`);
  }
  if (tests === 0) problems.push(`${PAGE} names no tests.`);
  return { problems, note: `${routes.size} routes, ${tests} tests` };
}

function namesTest(text, name) {
  return ["'", '"', '`'].some((quote) => text.includes(`test(${quote}${name}${quote}`));
}
