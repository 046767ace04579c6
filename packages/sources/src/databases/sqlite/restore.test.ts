import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { SqliteTarget } from '@tarfleet/contracts';
import { requireTools } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { calm, localSession } from '../../files/testing-sessions.ts';
import type { PreparedRestore, PrepareOptions } from '../../types.ts';
import { createDatabaseSource } from '../create-database-source.ts';
import { type CapturedDatabase, cancelledWhen, captureWhole, databaseService } from '../testing-captures.ts';

const run = promisify(execFile);
const source = createDatabaseSource({ openSecrets: async () => null });
let dir: string;
let path: string;
let session: Session;
let captured: CapturedDatabase;

const target = (): SqliteTarget => ({ type: 'sqlite', path, runAs: null, binDir: null });
const sql = async (text: string, file = path): Promise<string> =>
  (await run('sqlite3', ['-batch', file, text])).stdout.trim();
const context = () => ({ session, signal: calm(), warn: () => undefined });
const options = (dropExisting: boolean, tar = captured.tar): PrepareOptions => ({
  ...context(),
  service: databaseService(target()),
  database: { facts: captured.facts, dropExisting },
  jobId: 'job-1',
  openTar: async () => Readable.from([tar]),
  ...{ roots: null, extras: [], restorePath: null, overwrite: true, keep: [] },
  needs: { bytes: 100_000, files: 1 },
  onEntry: () => undefined,
});

beforeEach(async () => {
  await requireTools(['sqlite3']);
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-sqlite-'));
  path = join(dir, 'app one.db');
  session = await localSession();
  await sql("PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES ('as backed up')");
  await chmod(path, 0o640);
  await chown(path, 1234, 1235);
  captured = await captureWhole(session, target());
});
afterEach(async () => {
  await session.close();
  await rm(dir, { recursive: true, force: true });
});

test('what an attempt that died had claimed is removed by whoever forgets it', async () => {
  const claims: PreparedRestore[] = [];
  const before = await readdir(dir);
  await source.prepare({ ...options(true), claim: async (one) => void claims.push(one) });
  expect(await readdir(dir)).toContain('.tarfleet-restore-job-1');
  expect(claims).toHaveLength(1);
  for (const claimed of claims) {
    // It was never whole: nobody may take it for that.
    await expect(source.apply(claimed, context())).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await source.forget(claimed, context(), { keepOld: false });
  }
  expect(await readdir(dir)).toEqual(before);
});

test('it comes back with owner and mode where nothing is left, and goes again when that is undone', async () => {
  await rm(path);
  await source.check(options(false));
  const prepared = await source.prepare(options(false));
  expect((await readdir(dir)).sort()).toEqual(['.tarfleet-restore-job-1']);
  await source.apply(prepared, context());
  await source.apply(prepared, context());
  expect(await stat(path)).toMatchObject({ uid: 1234, gid: 1235, mode: 0o100640 });
  expect(await sql('SELECT n FROM t')).toBe('as backed up');
  await source.undo(prepared, context());
  await source.undo(prepared, context());
  await source.forget(prepared, context(), { keepOld: false });
  expect(await readdir(dir)).toEqual([]);
});

test('what exists is refused, or makes way with its log and comes back with it', async () => {
  // A log that is not yet in the file, as an application that was killed leaves it.
  const writing = `INSERT INTO t VALUES ('in the log');\n.system cp "${path}-wal" "${dir}/saved" && cp "${path}" "${dir}/saved-db"`;
  const client = run('sqlite3', ['-batch', path]);
  client.child.stdin?.end(writing);
  await client;
  await rm(path);
  await run('cp', [join(dir, 'saved-db'), path]);
  await run('mv', [join(dir, 'saved'), `${path}-wal`]);
  await rm(join(dir, 'saved-db'));
  await expect(source.check(options(false))).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('drop_existing'),
  });
  const unsaved = {
    ...options(false),
    database: { facts: captured.facts, dropExisting: false, unsaved: true },
  };
  await expect(source.check(unsaved)).rejects.toMatchObject({
    ...{ code: 'CONFLICT', message: expect.stringContaining('The emergency backup does not hold it') },
  });
  expect((await readdir(dir)).sort()).toEqual(['app one.db', 'app one.db-wal']);
  const prepared = await source.prepare(options(true));
  await source.apply(prepared, context());
  expect(await sql('SELECT n FROM t')).toBe('as backed up');
  expect(await source.undoable(prepared, context())).toBeNull();
  await sql("INSERT INTO t VALUES ('since the restore')");
  await source.forget(prepared, context(), { keepOld: true });
  await source.undo(prepared, context());
  expect(await sql('SELECT n FROM t')).toBe('as backed up\nin the log');
});

test('undone after use, the old log belongs to the old file again', async () => {
  await sql("INSERT INTO t VALUES ('old')");
  const prepared = await source.prepare(options(true));
  await source.apply(prepared, context());
  await writeFile(`${path}-wal`, 'of the restored one');
  await source.undo(prepared, context());
  expect((await readdir(dir)).sort()).toEqual(['.tarfleet-restore-job-1', 'app one.db']);
  expect(await sql('SELECT n FROM t')).toBe('as backed up\nold');
  await source.forget(prepared, context(), { keepOld: false });
  expect(await source.undoable(prepared, context())).toContain('is gone');
});

test('a damaged copy is not put in place', async () => {
  const broken = Buffer.from(captured.tar);
  const dump = captured.dumps.get('db-app%20one.db.sqlite') ?? Buffer.alloc(0);
  broken.fill(0xff, broken.indexOf(dump) + 4096, broken.indexOf(dump) + 4400);
  await expect(source.prepare(options(true, broken))).rejects.toMatchObject({
    message: expect.stringMatching(/damaged|malformed/),
  });
  expect((await readdir(dir)).sort()).toEqual(['app one.db']);
});

test('cancelled while it arrives, nothing is left beside it', async () => {
  const before = (await readdir(dir)).sort();
  const arrives = async () => (await readdir(dir)).length > before.length;
  const cancelled = source.prepare({ ...options(true), ...cancelledWhen(captured.tar, arrives) });
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  expect((await readdir(dir)).sort()).toEqual(before);
});
