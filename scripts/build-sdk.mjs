// `pnpm build:sdk [folder]`: the SDK as others install it, in `packages/sdk` or, with a folder, there (with its
// package.json): one file for `import` and browsers, one for `require`, and the types beside each.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const sdk = join(root, 'packages/sdk');
const target = process.argv[2] ? resolve(process.argv[2]) : sdk;

mkdirSync(target, { recursive: true });
const work = mkdtempSync(join(target, '.build-'));
try {
  for (const [folder, format, type] of [
    ['esm', 'esm', 'module'],
    ['cjs', 'cjs', 'commonjs'],
  ]) {
    const out = join(work, folder);
    // Nothing is left outside: the client needs no other package.
    await build({
      entryPoints: [join(sdk, 'src/index.ts')],
      outfile: join(out, 'index.js'),
      ...{ bundle: true, platform: 'neutral', format, target: ['es2022'], logLevel: 'warning' },
      ...{ sourcemap: true, sourcesContent: true, legalComments: 'none' },
    });
    // Whatever the package says of itself, each folder is read as what it is.
    writeFileSync(join(out, 'package.json'), `${JSON.stringify({ type })}\n`);
  }
  declare(join(work, 'esm'));
  cpSync(join(work, 'esm'), join(work, 'cjs'), {
    recursive: true,
    filter: (path) => !/index\.js|\.json/.test(path),
  });
  rmSync(join(target, 'dist'), { recursive: true, force: true });
  const made = join(work, 'dist');
  mkdirSync(made);
  for (const folder of ['esm', 'cjs']) renameSync(join(work, folder), join(made, folder));
  renameSync(made, join(target, 'dist'));
  if (target !== sdk) cpSync(join(sdk, 'package.json'), join(target, 'package.json'));
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The types. They name each other by `.ts`, which is not there where the package is installed. */
function declare(out) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const config = ['-p', join(sdk, 'tsconfig.build.json'), '--outDir', out];
  const { status, stdout } = spawnSync(
    process.execPath,
    [tsc, ...config, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly'],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`tsc: ${stdout}`);
  for (const name of readdirSync(out, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue;
    const path = join(out, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/(['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'));
  }
}
