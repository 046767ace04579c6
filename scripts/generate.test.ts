import { execFile } from 'node:child_process';
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const repository = join(__dirname, '..');
let root: string;

/** A folder with what the script touches, laid out as the repository. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tarfleet-generate-'));
  await mkdir(join(root, 'scripts'));
  await mkdir(join(root, 'prisma'));
  await mkdir(join(root, 'packages/db/src'), { recursive: true });
  await copyFile(join(repository, 'scripts/generate.mjs'), join(root, 'scripts/generate.mjs'));
  await copyFile(join(repository, 'prisma/schema.prisma'), join(root, 'prisma/schema.prisma'));
  await symlink(join(repository, 'prisma/node_modules'), join(root, 'prisma/node_modules'));
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

async function generate(): Promise<{ code: number; stderr: string }> {
  try {
    const { stderr } = await promisify(execFile)(process.execPath, [join(root, 'scripts/generate.mjs')]);
    return { code: 0, stderr };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, stderr };
  }
}

const client = (): Promise<string> =>
  readFile(join(root, 'packages/db/src/generated/internal/class.ts'), 'utf8');

test('runs at the same moment leave one whole client', async () => {
  const runs = await Promise.all([generate(), generate(), generate()]);
  expect(runs).toEqual([0, 0, 0].map((code) => ({ code, stderr: '' })));
  expect(await client()).toContain('model Project');
  expect(await readdir(join(root, 'packages/db/src/generated/models'))).toContain('Project.ts');
  expect(await readdir(join(root, 'packages/db/node_modules/.generate'))).toEqual([]);
});

test('the client is made again when the schema has changed, and only then', async () => {
  await generate();
  const mark = join(root, 'packages/db/src/generated/mark');
  await writeFile(mark, '');
  expect(await generate()).toEqual({ code: 0, stderr: '' });
  expect(await readFile(mark, 'utf8')).toBe('');
  await appendFile(join(root, 'prisma/schema.prisma'), '\nmodel Added {\n  id Int @id\n}\n');
  expect(await generate()).toEqual({ code: 0, stderr: '' });
  expect(await client()).toContain('model Added');
  await expect(readFile(mark)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a schema with a fault is an error that shows it, and the client stays as it was', async () => {
  await generate();
  const before = await client();
  await appendFile(join(root, 'prisma/schema.prisma'), '\nmodel Broken {\n  id Nothing @id\n}\n');
  const run = await generate();
  expect(run.code).toBe(1);
  expect(run.stderr).toContain('prisma generate failed');
  expect(run.stderr).toContain('Nothing');
  expect(await client()).toBe(before);
  expect((await generate()).code).toBe(1);
});

test('without Prisma it says what to run', async () => {
  await rm(join(root, 'prisma/node_modules'));
  expect(await generate()).toEqual({
    code: 1,
    stderr: 'Prisma is not installed: run `npx -y pnpm@12 install` first.\n',
  });
});
