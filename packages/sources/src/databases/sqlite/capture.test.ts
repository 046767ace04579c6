import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { SqliteTarget } from '@tarfleet/contracts';
import { requireTools } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { localSession } from '../../files/testing-sessions.ts';
import { captureWhole } from '../testing-captures.ts';

const run = promisify(execFile);
let tools: Awaited<ReturnType<typeof requireTools>>;
let dir: string;
let session: Session;
beforeEach(async () => {
  tools = await requireTools(['sqlite3']);
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-sqlite-'));
  session = await localSession();
});
afterEach(async () => {
  await session.close();
  await rm(dir, { recursive: true, force: true });
});

const target = (path: string): SqliteTarget => ({ type: 'sqlite', path, runAs: null, binDir: null });
const sql = async (path: string, text: string): Promise<string> =>
  (await run('sqlite3', ['-batch', path, text], { maxBuffer: 1 << 26 })).stdout.trim();
const FILL = `CREATE TABLE pairs (a INTEGER PRIMARY KEY, b TEXT);
  CREATE TABLE "odd ""name" (x); INSERT INTO "odd ""name" VALUES (1), (2);
  CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('hello');
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO pairs SELECT i, hex(randomblob(200)) FROM n;`;

test('the copy holds every row, and nothing is left beside the database', async () => {
  const path = join(dir, "app's data.db");
  await sql(path, FILL);
  const { dumps, facts } = await captureWhole(session, target(path));
  expect(facts).toMatchObject({
    method: 'sqlite3_backup',
    databases: [path],
    serverVersion: expect.stringMatching(/^3\./),
  });
  expect(facts.records).toBeGreaterThanOrEqual(20_002);
  const copy = join(dir, 'copy.db');
  await writeFile(copy, dumps.get('db-app%27s%20data.db.sqlite') ?? '');
  expect(await sql(copy, 'PRAGMA integrity_check')).toBe('ok');
  expect(await sql(copy, 'SELECT * FROM pairs')).toBe(await sql(path, 'SELECT * FROM pairs'));
  expect((await readdir(dir)).sort()).toEqual(["app's data.db", 'copy.db']);
});

test('a database that is written to all the time is copied as it was at one moment', async () => {
  const path = join(dir, 'busy.db');
  await sql(
    path,
    `PRAGMA journal_mode = WAL; ${FILL}; CREATE TABLE sums (one INTEGER, two INTEGER); INSERT INTO sums VALUES (0, 0)`,
  );
  const step = `UPDATE sums SET one = one + 1, two = two - 1; UPDATE pairs SET b = hex(randomblob(200)) WHERE a % 1000 = 7;`;
  const writer = spawn(tools.sqlite3, ['-batch', '-cmd', '.timeout 20000', path], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  let writing = true;
  const wrote = (async () => {
    while (writing) {
      if (writer.stdin.write(`BEGIN IMMEDIATE; ${step} COMMIT;\n`.repeat(20)))
        await new Promise((done) => setImmediate(done));
      else await new Promise((done) => writer.stdin.once('drain', done));
    }
    writer.stdin.end();
    await new Promise((done) => writer.once('exit', done));
  })();
  try {
    const seen: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { dumps } = await captureWhole(session, target(path));
      const copy = join(dir, `copy-${round}.db`);
      await writeFile(copy, dumps.get('db-busy.db.sqlite') ?? '');
      expect(await sql(copy, 'PRAGMA integrity_check')).toBe('ok');
      const [one = 0, two = 0] = (await sql(copy, 'SELECT one, two FROM sums')).split('|').map(Number);
      expect(one + two).toBe(0);
      seen.push(one);
    }
    expect(seen.at(-1)).toBeGreaterThan(seen[0] ?? 0);
  } finally {
    writing = false;
    await wrote;
  }
});

test('what a killed run left is removed, and a link to the database is followed', async () => {
  const path = join(dir, 'app.db');
  await sql(path, 'CREATE TABLE t (n); INSERT INTO t VALUES (1)');
  const link = join(dir, '-link.db');
  await symlink(path, link);
  const captured = await captureWhole(session, target(link));
  expect([...captured.dumps.keys()]).toEqual(['about.json', 'db-%2dlink.db.sqlite']);
  const left = join(dir, `.tarfleet-sqlite-${captured.serviceId}`);
  await mkdir(left);
  await writeFile(join(left, 'copy'), 'half of it');
  await captureWhole(session, target(path), { serviceId: captured.serviceId });
  expect((await readdir(dir)).sort()).toEqual(['-link.db', 'app.db']);
});

test('no file, no database and a damaged one are told', async () => {
  await expect(captureWhole(session, target(join(dir, 'gone.db')))).rejects.toMatchObject({
    code: 'PATH_NOT_FOUND',
  });
  const text = join(dir, 'text.db');
  await writeFile(text, 'this is no database '.repeat(1000));
  await expect(captureWhole(session, target(text))).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('file is not a database'),
  });
  expect((await readdir(dir)).sort()).toEqual(['text.db']);
});
