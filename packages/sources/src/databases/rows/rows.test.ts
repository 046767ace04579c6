import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  fillProject,
  type RunningPostgres,
  type RunningSshd,
  startPostgresServer,
  startSshd,
  TWELVE_TABLES,
} from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { calm, sshSession } from '../../files/testing-sessions.ts';
import { createDatabaseSource } from '../create-database-source.ts';
import { type CapturedDatabase, captureWhole } from '../testing-captures.ts';
import { PASSWORD, restoreOptions, rowsOf, rowsTarget, shapeOf, TABLES } from './testing-rows.ts';

let postgres: RunningPostgres;
let sshd: RunningSshd;
let session: Session;
let captured: CapturedDatabase;
const source = createDatabaseSource({ openSecrets: async () => ({ password: PASSWORD }) });
const context = () => ({ session, signal: calm(), warn: () => undefined });
const LONG = 9 * 1024 * 1024;
let job = 0;
const restore = async (tenant: number, more: { dropExisting?: boolean; of?: CapturedDatabase } = {}) => {
  job += 1;
  const { of = captured, dropExisting } = more;
  const options = restoreOptions(session, rowsTarget(postgres, tenant), of, `rows-${process.pid}-${job}`, {
    ...(dropExisting === undefined ? {} : { dropExisting }),
  });
  await source.check(options);
  return source.prepare(options);
};

let previewed: Readable | undefined;
const preview = async (tenant: number) => {
  previewed = Readable.from(inChunks(captured.tar));
  const entries = (async function* () {})();
  const options = restoreOptions(session, rowsTarget(postgres, tenant), captured, `preview-${process.pid}`);
  return source.preview({ ...options, roots: [], entries, openTar: async () => previewed as Readable });
};
function* inChunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 4_096) yield bytes.subarray(at, at + 4_096);
}

beforeAll(async () => {
  [postgres, sshd] = await Promise.all([startPostgresServer({ password: PASSWORD }), startSshd()]);
  session = await sshSession(sshd);
  await postgres.sql('postgres', 'CREATE DATABASE cloudbox');
  await postgres.sql('cloudbox', TWELVE_TABLES);
  for (const id of [1, 2]) await postgres.sql('cloudbox', fillProject(id, 60));
  await postgres.sql('cloudbox', `INSERT INTO projects (id, name) VALUES (3, 'empty')`);
  captured = await captureWhole(session, rowsTarget(postgres, 1), { password: PASSWORD });
}, 120_000);

afterAll(async () => {
  await session?.close();
  await sshd?.stop();
  await postgres?.stop();
}, 150_000);

test('the archive says what it is and holds one list of JSON lines for each table, of this tenant alone', async () => {
  const lists = TABLES.map(({ name }) => `rows/${name}.jsonl`).sort();
  expect([...captured.dumps.keys()]).toEqual(['metadata.json', ...lists, 'totals.json']);
  const metadata = JSON.parse(captured.dumps.get('metadata.json')?.toString() ?? '');
  expect(metadata).toMatchObject({
    backup_version: '1.0',
    metadata: { project_id: 1, project_name: 'Project 1', backup_type: 'manual', cloudbox_version: '1.0.0' },
    tenant: '1',
    fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(captured.facts).toMatchObject({ method: 'psql_copy', tables: 12, tenant: '1' });
  const rows = [...captured.dumps].filter(([name]) => name.startsWith('rows/'));
  const count = rows.reduce((sum, [, bytes]) => sum + bytes.toString().split('\n').length - 1, 0);
  const there = (await rowsOf(postgres, 'project_id = 1')).split('\n');
  // The texts have newlines; counted are rows.
  expect(captured.facts.records).toBe(count);
  expect(
    there.filter((line) =>
      /^(collections|documents|files|functions|deployments|github_repositories|web_servers|ssh_keys|api_keys|cors_configs|function_domains|audit_logs)\|/.test(
        line,
      ),
    ),
  ).toHaveLength(count);
  const collections = captured.dumps.get('rows/collections.jsonl')?.toString().trim().split('\n') ?? [];
  expect(collections.map((line) => JSON.parse(line).project_id)).toEqual([1, 1, 1]);
  expect(captured.index.map(({ path }) => path.toString())).toContain('/dump/rows');
}, 150_000);

test('what was lost and changed in a project comes back row by row, and goes away again', async () => {
  const before = await rowsOf(postgres, 'project_id = 1');
  const others = await rowsOf(postgres, 'project_id <> 1', { physical: true });
  await postgres.sql(
    'cloudbox',
    `UPDATE collections SET name = 'changed' WHERE project_id = 1 AND name = 'c1';
    DELETE FROM audit_logs WHERE project_id = 1; DELETE FROM files WHERE project_id = 1 AND document_id IS NULL;
    INSERT INTO functions (project_id, name) VALUES (1, 'later')`,
  );
  const broken = await rowsOf(postgres, 'project_id = 1');
  const prepared = await restore(1);
  expect(await rowsOf(postgres, 'project_id = 1')).toBe(broken);
  await source.apply(prepared, context());
  expect(await rowsOf(postgres, 'project_id = 1')).toBe(before);
  // Twice, as after a break.
  await source.apply(prepared, context());
  expect(await rowsOf(postgres, 'project_id = 1')).toBe(before);
  expect(await rowsOf(postgres, 'project_id <> 1', { physical: true })).toBe(others);
  expect(await source.undoable(prepared, context())).toBeNull();
  await source.undo(prepared, context());
  await source.undo(prepared, context());
  expect(await rowsOf(postgres, 'project_id = 1')).toBe(broken);
  expect(await source.undoable(prepared, context())).toContain('in place already');
  await source.apply(prepared, context());
  await source.forget(prepared, context(), { keepOld: true });
  expect(await source.undoable(prepared, context())).toBeNull();
  await source.forget(prepared, context(), { keepOld: false });
  expect(await source.undoable(prepared, context())).toContain('gone');
  expect(await rowsOf(postgres, 'project_id = 1')).toBe(before);
  // Nobody is given a key that came back.
  expect(
    await postgres.sql(
      'cloudbox',
      "INSERT INTO functions (project_id, name) VALUES (2, 'new') RETURNING id > (SELECT max(id) FROM functions)",
    ),
  ).toBe('t\n');
}, 150_000);

test('into another project everything comes under new keys, references follow, and nobody else’s row is written', async () => {
  const others = await rowsOf(postgres, 'project_id <> 3', { physical: true });
  const prepared = await restore(3);
  await source.apply(prepared, context());
  expect(await shapeOf(postgres, 3)).toBe(await shapeOf(postgres, 1));
  expect(await rowsOf(postgres, 'project_id <> 3', { physical: true })).toBe(others);
  expect(
    await postgres.sql(
      'cloudbox',
      'SELECT count(*) FROM documents a JOIN documents b ON a.title = b.title AND a.parent_id = b.parent_id AND a.id <> b.id',
    ),
  ).toBe('0\n');
  // There are rows now: to replace them has to be said.
  await expect(restore(3)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('drop_existing'),
  });
  const again = await restore(3, { dropExisting: true });
  await source.apply(again, context());
  expect(await shapeOf(postgres, 3)).toBe(await shapeOf(postgres, 1));
  await source.undo(prepared, context());
  expect(await rowsOf(postgres, 'project_id = 3')).toBe('');
  expect(await rowsOf(postgres, 'project_id <> 3', { physical: true })).toBe(others);
}, 150_000);

test('a table that is not as it was is refused before anything is changed, with what differs', async () => {
  await postgres.sql(
    'cloudbox',
    'ALTER TABLE functions ALTER code TYPE varchar; ALTER TABLE files ADD must int NOT NULL DEFAULT 1; ALTER TABLE files ALTER must DROP DEFAULT',
  );
  const refusal = {
    code: 'CONFLICT',
    message: expect.stringMatching(
      /files\.must is new, may not be null and has no default; functions\.code is character varying, and was text/,
    ),
  };
  try {
    await expect(restore(3)).rejects.toMatchObject(refusal);
    await expect(preview(3)).rejects.toMatchObject(refusal);
  } finally {
    await postgres.sql('cloudbox', 'ALTER TABLE functions ALTER code TYPE text; ALTER TABLE files DROP must');
  }
  const { created, overwritten } = await preview(3);
  expect([created.entries, overwritten.entries]).toEqual([12, 0]);
  // Of the archive nothing was read but its beginning, and that was closed.
  expect(previewed?.destroyed).toBe(true);
  const prepared = await restore(3);
  await postgres.sql('cloudbox', 'ALTER TABLE files ADD note text');
  await expect(source.apply(prepared, context())).rejects.toMatchObject({
    message: expect.stringContaining('altered since'),
  });
  await postgres.sql('cloudbox', 'ALTER TABLE files DROP note');
  expect(await rowsOf(postgres, 'project_id = 3')).toBe('');
}, 150_000);

test('constraints, dangling references and what reaches beyond the tenant roll everything back, in words', async () => {
  const all = () => rowsOf(postgres, 'true', { physical: true });
  await postgres.sql(
    'cloudbox',
    "ALTER TABLE functions ADD CONSTRAINT no_f2 CHECK (project_id <> 3 OR name <> 'f2') NOT VALID",
  );
  const before = await all();
  await expect(source.apply(await restore(3), context())).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    // Of the row itself, which the database would tell, nothing.
    message: expect.stringMatching(/^(?!.*größe)(?!.*Failing row).*violates check constraint "no_f2"/s),
  });
  expect(await all()).toBe(before);
  await postgres.sql('cloudbox', 'ALTER TABLE functions DROP CONSTRAINT no_f2');
  // A cascade into a table that nobody named.
  await postgres.sql(
    'cloudbox',
    `CREATE TABLE likes (document_id uuid REFERENCES documents ON DELETE CASCADE, by int);
    INSERT INTO likes SELECT id, 1 FROM documents LIMIT 1000`,
  );
  await expect(source.apply(await restore(1), context())).rejects.toMatchObject({
    message: expect.stringMatching(/not among the service's tables.*likes/),
  });
  expect(await all()).toBe(before);
  await postgres.sql('cloudbox', 'DROP TABLE likes');
  // A trigger that writes into somebody else's rows.
  await postgres.sql(
    'cloudbox',
    `CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE web_servers SET host = 'x' WHERE project_id = 2; RETURN NEW; END $$;
    CREATE TRIGGER meddle AFTER INSERT ON ssh_keys FOR EACH ROW EXECUTE FUNCTION meddle()`,
  );
  await expect(source.apply(await restore(3), context())).rejects.toMatchObject({
    message: expect.stringContaining("not the tenant's would be changed"),
  });
  expect(await all()).toBe(before);
  await postgres.sql('cloudbox', 'DROP TRIGGER meddle ON ssh_keys');
  // A log entry of a document that is another project's.
  await postgres.sql(
    'cloudbox',
    `UPDATE audit_logs SET document_id = (SELECT d.id FROM documents d JOIN collections c ON c.id = d.collection_id WHERE c.project_id = 2 LIMIT 1)
    WHERE id = (SELECT min(id) FROM audit_logs WHERE project_id = 1)`,
  );
  const dangling = await captureWhole(session, rowsTarget(postgres, 1), { password: PASSWORD });
  await expect(source.apply(await restore(3, { of: dangling }), context())).rejects.toMatchObject({
    message: expect.stringContaining(
      'audit_logs.document_id refers to a row of documents that is not in the backup',
    ),
  });
  expect(await rowsOf(postgres, 'project_id = 3')).toBe('');
  await source.apply(await restore(1), context());
}, 150_000);

test('a row that is longer than a part of the archive goes there and back', async () => {
  const table = TABLES.filter(({ name }) => name === 'ssh_keys');
  const target = (tenant: number) => rowsTarget(postgres, tenant, { tables: table });
  const long = `repeat('x''y' || chr(10), ${LONG / 4}) || chr(92)`;
  await postgres.sql(
    'cloudbox',
    `INSERT INTO projects (id, name) VALUES (4, 'long'), (5, 'copy');
    INSERT INTO ssh_keys (project_id, private_key) VALUES (4, ${long}), (4, 'short')`,
  );
  const large = await captureWhole(session, target(4), { password: PASSWORD });
  expect(Math.max(...large.entries.map(({ size }) => size))).toBe(8 * 1024 * 1024);
  const prepared = await source.prepare(
    restoreOptions(session, target(5), large, `rows-${process.pid}-long`),
  );
  await source.apply(prepared, context());
  expect(
    await postgres.sql(
      'cloudbox',
      `SELECT private_key = ${long} FROM ssh_keys WHERE project_id = 5 ORDER BY id`,
    ),
  ).toBe('t\nf\n');
}, 150_000);
