// `pnpm generate:sdk`: writes packages/sdk/src/generated/api.ts, the types of the routes that the SDK uses, made from
// the OpenAPI document that the API itself gives out. The file is committed, so that the SDK can be built without the
// API; `--check` (part of `pnpm check generated`) changes nothing and fails when the file is not what would be written.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';

const root = join(import.meta.dirname, '..');
const FILE = 'packages/sdk/src/generated/api.ts';
/** What the SDK calls. */
const ROUTES = {
  '/api/projects/{id}/backups': ['get', 'post'],
  '/api/backups/{id}': ['get', 'delete'],
  '/api/backups/{id}/restore': ['post'],
  '/api/backups/{id}/verify': ['post'],
  '/api/jobs/{id}': ['get'],
};
const HEAD = `// Made by \`pnpm generate:sdk\` from the API's own OpenAPI document; not to be changed by hand.\n\n`;

async function main() {
  const printed = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(root, 'apps/api/src/print-openapi.ts')],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  if (printed.status !== 0) return fail(`The API gave no description:\n${printed.stderr}`);
  const text = HEAD + astToString(await openapiTS(only(JSON.parse(printed.stdout))));
  const file = join(root, FILE);
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return 0;
  }
  if (read(file) === text) return 0;
  return fail(`${FILE} is not what the API describes: run \`pnpm generate:sdk\` and commit it.`);
}

/** Only the routes that are used, and of them what makes a type that the SDK names: the rest would be noise in every review. */
function only({ paths, ...rest }) {
  const chosen = Object.entries(ROUTES).map(([path, methods]) => {
    const given = paths[path];
    if (!given) throw new Error(`The API has no route ${path}.`);
    return [path, Object.fromEntries(methods.map((method) => [method, bodiesOf(given[method])]))];
  });
  return { ...rest, paths: Object.fromEntries(chosen) };
}

function bodiesOf({ responses, parameters = [], description: _text, ...operation }) {
  // Where there are two, a job that was waited for is answered in the same form as one that was not.
  const [status, answer] = Object.entries(responses).find(([status]) => status.startsWith('2'));
  return {
    ...operation,
    parameters: parameters.filter((one) => one.in !== 'header'),
    responses: { [status]: { description: answer.description, content: answer.content } },
  };
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // There is none yet.
  }
}

function fail(message) {
  process.stderr.write(`${message.trimEnd()}\n`);
  return 1;
}

process.exitCode = await main();
