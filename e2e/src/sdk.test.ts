// The client as others install it: in Node by import and require, in a browser on a page of another origin, in the
// examples of its documentation, and in the eyes of TypeScript.
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openBrowser } from './sdk/browser.ts';
import { type PageServer, startPageServer } from './sdk/page-server.ts';
import { createWorld, type World } from './world.ts';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');
const SCENARIO = join(__dirname, 'sdk/scenario.mjs');

let world: World;
let pages: PageServer;
/** A project that has nothing but the client. */
let consumer: string;
let file: string;
beforeAll(async () => {
  let lose = async (): Promise<void> => undefined;
  const paths = { sdk: '', scenario: SCENARIO };
  pages = await startPageServer(paths, () => lose());
  world = await createWorld('postgres', { apiEnv: { CORS_ORIGINS: pages.origin } });
  consumer = join(world.dir, 'consumer');
  const sdk = join(consumer, 'node_modules/@tarfleet/sdk');
  await run(process.execPath, [join(ROOT, 'scripts/build-sdk.mjs'), sdk]);
  paths.sdk = join(sdk, 'dist/esm/index.js');

  const tree = join(world.dir, 'data/app');
  file = join(tree, 'inner/file');
  await mkdir(join(tree, 'inner'), { recursive: true });
  await writeFile(file, 'as it was\n');
  lose = () => rm(join(tree, 'inner'), { recursive: true });
  await world.addService(await world.addServer('source'), 'app', [tree]);
  Object.assign(pages.given, { url: world.stack.url, token: world.client.token, projectId: 1 });
}, 120_000);
afterAll(async () => {
  await world?.close();
  await pages?.close();
}, 60_000);

/** Runs a file of the consumer's. */
async function inNode(name: string, text: string): Promise<string> {
  await writeFile(join(consumer, name), text);
  const { stdout } = await run(process.execPath, [join(consumer, name)], {
    cwd: consumer,
    env: { PATH: process.env.PATH, TARFLEET_URL: world.stack.url, TARFLEET_TOKEN: world.client.token },
    timeout: 100_000,
  });
  return stdout;
}

async function expectWhole(result: unknown): Promise<void> {
  const object = {
    ...{ name: 'Weekly Backup', description: 'by the client', type: 'automatic', project_id: 1 },
    file_path: expect.stringMatching(/^file:/),
  };
  expect(result).toEqual({
    begun: expect.objectContaining({ ...object, status: 'creating', size: 0, checksum: null }),
    made: expect.objectContaining({
      ...{ ...object, status: 'completed', size: expect.any(Number), services: ['app'] },
      checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    }),
    ...{ percents: expect.arrayContaining([100]), listed: expect.any(Number), inList: true },
    newest: (result as { made: { id: string } }).made.id,
    verified: expect.objectContaining({ valid: true }),
    ...{ restore: 'Restore initiated successfully', restored: 'completed', aborted: 'enough' },
    unknown: {
      ...{ typed: true, code: 'BACKUP_NOT_FOUND', status: 404, requestId: 'string' },
      message: expect.stringContaining('There is no backup'),
    },
    gone: expect.objectContaining({ code: 'BACKUP_NOT_FOUND', status: 404 }),
  });
  expect(await readFile(file, 'utf8')).toBe('as it was\n');
}

const given = () => JSON.stringify({ ...pages.given, loseUrl: `${pages.origin}/lose` });

test('imported in Node', async () => {
  const text = `import * as sdk from '@tarfleet/sdk';
import { scenario } from ${JSON.stringify(SCENARIO)};
console.log(JSON.stringify(await scenario(sdk, ${given()})));`;
  await expectWhole(JSON.parse(await inNode('imported.mjs', text)));
}, 120_000);

test('required in Node', async () => {
  const text = `const sdk = require('@tarfleet/sdk');
import(${JSON.stringify(SCENARIO)})
  .then(({ scenario }) => scenario(sdk, ${given()}))
  .then((result) => console.log(JSON.stringify(result)));`;
  await expectWhole(JSON.parse(await inNode('required.cjs', text)));
}, 120_000);

test('in a browser, on a page of an origin that is named; on one of another, nothing is answered', async () => {
  const whole = await openBrowser(pages.origin);
  try {
    await expectWhole(await Promise.race([pages.result(pages.origin), whole.failed]));
  } finally {
    await whole.close();
  }
  const strange = await openBrowser(pages.other);
  try {
    expect(await Promise.race([pages.result(pages.other), strange.failed])).toEqual({
      failed: expect.objectContaining({ name: 'TarfleetError', code: 'CONNECTION_FAILED' }),
    });
  } finally {
    await strange.close();
  }
}, 180_000);

test('the examples of document 3 run as they stand', async () => {
  const text = `import { createClient } from '@tarfleet/sdk';
import { runDocumented } from ${JSON.stringify(join(__dirname, 'sdk/documented.mjs'))};
const { TARFLEET_URL: baseUrl, TARFLEET_TOKEN: token } = process.env;
console.log(JSON.stringify(await runDocumented(createClient({ baseUrl, token, projectId: 1 }))));`;
  const { backupId, lines, refused } = JSON.parse(await inNode('documented.mjs', text));
  expect(lines.slice(0, 3)).toEqual([
    ...[`Backup created: ${backupId}`, 'Status: creating'],
    expect.stringMatching(/^Found [1-9]\d* backups$/),
  ]);
  expect(lines).toContainEqual(
    expect.stringMatching(/^Pre-deployment backup - completed \([1-9]\d* bytes\)$/),
  );
  expect(lines.slice(-2)).toEqual([
    expect.stringMatching(/^Backup completed: [1-9]\d* bytes$/),
    expect.stringMatching(/^Checksum: sha256:[0-9a-f]{64}$/),
  ]);
  // Files have to be put somewhere: without a server of that project nothing is begun.
  expect(refused).toMatch(/^VALIDATION_FAILED .*name the server of project 2/);
}, 120_000);

test('the examples of the documentation run as they stand', async () => {
  const text = await readFile(join(ROOT, 'docs/sdk.md'), 'utf8');
  const examples = [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  expect(examples.length).toBeGreaterThan(5);
  const said = await inNode('examples.mjs', examples.join('\n'));
  for (const part of text.matchAll(/^```text\n([\s\S]*?)^```$/gm)) {
    for (const line of part[1]!.trim().split('\n')) expect(said).toMatch(patternOf(line));
  }
}, 120_000);

/** A line of the documentation, in which dots stand for what differs from run to run. */
function patternOf(line: string): RegExp {
  return new RegExp(line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('\\.\\.\\.', '.+'));
}

test('TypeScript sees the same types by import and require, and refuses what the API would', async () => {
  const right = `import { createClient, TarfleetError, type Backup } from '@tarfleet/sdk';
const { backups } = createClient({ baseUrl: '', projectId: 1 });
export async function f(signal: AbortSignal): Promise<string[]> {
  const made: Backup = await backups.create({ name: 'x', type: 'manual' }, { signal });
  const status: 'creating' | string = made.status;
  const { result } = await backups.wait(await backups.restore(made.id, { targetProjectId: 2, paths: ['/a'] }));
  const { details } = await backups.wait(made, { onProgress: ({ percent }) => percent.toFixed() });
  const error = new TarfleetError({ code: 'STORAGE_FULL', message: status + String(result) });
  return [...(await backups.list()).map(({ name }) => name ?? ''), error.code, details.services[0]?.name ?? ''];
}
`;
  const wrong = `import { createClient } from '@tarfleet/sdk';
const { backups } = createClient({ baseUrl: '', projectId: 1 });
void backups.create({ type: 'manual' });
void backups.create({ name: 'x', type: 'weekly' });
void backups.restore('x', { targetProject: 2 });
`;
  const files = ['right.mts', 'right.cts', 'wrong.mts'];
  await writeFile(join(consumer, 'right.mts'), right);
  await writeFile(join(consumer, 'right.cts'), right);
  await writeFile(join(consumer, 'wrong.mts'), wrong);
  const strict = { strict: true, noEmit: true };
  const compilerOptions = {
    ...strict,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2022', 'dom'],
    types: [],
  };
  await writeFile(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const compiled = await run(process.execPath, [tsc, '-p', consumer]).catch(
    ({ stdout }: { stdout: string }) => ({ stdout }),
  );
  const faults = compiled.stdout.split('\n').filter((line) => /error TS/.test(line));
  expect(faults.map((line) => line.replace(/^.*?(\w+\.\wts\(\d+).*/, '$1'))).toEqual([
    'wrong.mts(3',
    'wrong.mts(4',
    'wrong.mts(5',
  ]);
}, 60_000);
