// `node scripts/generate.mjs`: makes the database client from prisma/schema.prisma, when the schema or Prisma
// itself differs from what the client at hand was made of. Every `pnpm` command runs it first, so it is quick
// when there is nothing to do. Two at once do no harm: each makes a whole client and moves it into place.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const schema = join(root, 'prisma/schema.prisma');
/** Must agree with `output` in the schema. */
const OUTPUT = 'packages/db/src/generated';
const output = join(root, OUTPUT);
const STAMP = '.made-from';
const scratch = join(root, 'packages/db/node_modules/.generate');
const prisma = join(root, 'prisma/node_modules/prisma');

function main() {
  if (!existsSync(join(prisma, 'package.json'))) {
    return fail('Prisma is not installed: run `npx -y pnpm@12 install` first.');
  }
  const { version } = JSON.parse(readFileSync(join(prisma, 'package.json'), 'utf8'));
  const stamp = createHash('sha256').update(`${version}\n`).update(readFileSync(schema)).digest('hex');
  if (isCurrent(stamp)) return 0;

  mkdirSync(scratch, { recursive: true });
  removeLeftovers();
  const work = mkdtempSync(join(scratch, 'work-'));
  try {
    // A copy in the same layout: the schema's relative output then lies in the working folder.
    mkdirSync(join(work, 'prisma'));
    cpSync(schema, join(work, 'prisma/schema.prisma'));
    const done = spawnSync(
      process.execPath,
      [join(prisma, 'build/index.js'), 'generate', '--schema', 'prisma/schema.prisma', '--no-hints'],
      { cwd: work, encoding: 'utf8', env: environment() },
    );
    const made = join(work, OUTPUT);
    if (done.status !== 0 || !existsSync(join(made, 'client.ts'))) {
      return fail(`prisma generate failed:\n${done.stdout ?? ''}${done.stderr ?? ''}${done.error ?? ''}`);
    }
    writeFileSync(join(made, STAMP), stamp);
    return install(made, join(work, 'old'), stamp);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function isCurrent(stamp) {
  try {
    return readFileSync(join(output, STAMP), 'utf8') === stamp;
  } catch {
    return false; // None yet, or of an unknown schema.
  }
}

/** Puts the new client where the old one was. Another run may do the same at this moment: either's client will do. */
function install(made, old, stamp) {
  for (let tries = 0; tries < 10; tries += 1) {
    try {
      renameSync(output, join(old + tries));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    try {
      mkdirSync(dirname(output), { recursive: true });
      renameSync(made, output);
      return 0;
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      if (isCurrent(stamp)) return 0;
    }
  }
  return fail(`Could not put the new client into ${OUTPUT}: other runs keep replacing it.`);
}

/** `prisma generate` needs no schema engine, only a file where it looks for one; without it, it would download one. */
function environment() {
  return {
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    ...process.env,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  };
}

/** What runs that were killed left behind. */
function removeLeftovers() {
  for (const name of readdirSync(scratch)) {
    const path = join(scratch, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 600_000) rmSync(path, { recursive: true, force: true });
  }
}

function fail(message) {
  process.stderr.write(`${message.trimEnd()}\n`);
  return 1;
}

process.exitCode = main();
