import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { calm, sshSession, until } from '../../files/testing-sessions.ts';
import { createDatabaseSource } from '../create-database-source.ts';
import { type CapturedDatabase, cancelledWhen, captureWhole } from '../testing-captures.ts';
import { PASSWORD, restoreOptions, rowsOf, rowsTarget, shapeOf } from './testing-rows.ts';

const ROUNDS = 3;
let postgres: RunningPostgres;
let sshd: RunningSshd;
let captured: CapturedDatabase;
let sessions: Session[] = [];
const source = createDatabaseSource({ openSecrets: async () => ({ password: PASSWORD }) });
const connect = async (): Promise<Session> => {
  const session = await sshSession(sshd);
  sessions.push(session);
  return session;
};
const context = (session: Session) => ({ session, signal: calm(), warn: () => undefined });

beforeAll(async () => {
  [postgres, sshd] = await Promise.all([startPostgresServer({ password: PASSWORD }), startSshd()]);
  await postgres.sql('postgres', 'CREATE DATABASE cloudbox');
  await postgres.sql('cloudbox', TWELVE_TABLES);
  for (const id of [1, 2]) await postgres.sql('cloudbox', fillProject(id, 60));
  await postgres.sql('cloudbox', "INSERT INTO projects (id, name) VALUES (3, 'empty')");
  captured = await captureWhole(await connect(), rowsTarget(postgres, 1), { password: PASSWORD });
}, 120_000);

afterAll(async () => {
  for (const session of sessions) await session.close();
  sessions = [];
  await sshd?.stop();
  await postgres?.stop();
});

/** Ends psql, or the connection, or the server's own process for it; whoever is killed, nothing of psql is left. */
async function kill(how: number): Promise<void> {
  if (how === 0) await sshd.cutConnections();
  if (how === 1) {
    const ours = "pid <> pg_backend_pid() AND datname = 'cloudbox' AND backend_type = 'client backend'";
    await postgres.sql(
      'postgres',
      `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE ${ours}`,
    );
    return;
  }
  // A successor ends what its predecessor still runs, before it acts.
  for (const { pid, line } of await sshd.commands()) {
    if (!line.includes('psql')) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** A moment after psql has begun to change things, or while that ends. */
async function sometimeIn(change: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  change.then(over, over);
  const begun =
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'psql' AND backend_xid IS NOT NULL";
  await until(async () => isOver || (await postgres.sql('postgres', begun)) === 't\n');
  await sleep(randomInt(0, 200));
}

test('killed at any moment, a project is entirely old or entirely new, and a successor ends it either way', async () => {
  const copy = await shapeOf(postgres, 1);
  const others = await rowsOf(postgres, 'project_id <> 3', { physical: true });
  const isNew = async (): Promise<boolean> => {
    const shape = await shapeOf(postgres, 3);
    if (shape !== '') expect(shape).toBe(copy);
    return shape !== '';
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const first = await connect();
    const options = restoreOptions(
      first,
      rowsTarget(postgres, 3),
      captured,
      `killed-${process.pid}-${round}`,
    );
    const prepared = await source.prepare(options);
    const applying = source.apply(prepared, context(first));
    applying.catch(() => undefined);
    await sometimeIn(applying);
    await kill(round % 3);
    await applying.catch(() => undefined);
    await isNew();

    const second = await connect();
    if (round % 2 === 0) {
      await source.apply(prepared, context(second));
      expect(await isNew()).toBe(true);
    }
    const undoing = source.undo(prepared, context(second));
    undoing.catch(() => undefined);
    await sometimeIn(undoing);
    await kill(round % 3);
    await undoing.catch(() => undefined);
    await isNew();
    const third = await connect();
    await source.undo(prepared, context(third));
    expect(await isNew()).toBe(false);
    await source.forget(prepared, context(third), { keepOld: false });
  }
  expect(await rowsOf(postgres, 'project_id <> 3', { physical: true })).toBe(others);
}, 150_000);

test('a backup whose server process is ended half-way fails with the words of psql', async () => {
  const session = await connect();
  await postgres.sql('cloudbox', 'ALTER TABLE files RENAME TO files_there');
  // Slow enough to be in the middle of it.
  await postgres.sql(
    'cloudbox',
    `CREATE FUNCTION slow(t text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN true; END $$`,
  );
  await postgres.sql('cloudbox', 'ALTER TABLE files_there RENAME TO files');
  await postgres.sql(
    'cloudbox',
    "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
  );
  await postgres.sql(
    'cloudbox',
    'ALTER TABLE files ENABLE ROW LEVEL SECURITY; CREATE POLICY slowly ON files USING (slow(name))',
  );
  const target = rowsTarget(postgres, 1, { user: 'reader' });
  // Rows that the database would hide from this user are missed, not left out.
  await expect(captureWhole(session, target, { password: 'reader' })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('row-level security policy for table "files"'),
  });
  await postgres.sql('cloudbox', 'ALTER TABLE files DISABLE ROW LEVEL SECURITY');
  const locked = postgres.sql(
    'cloudbox',
    'BEGIN; LOCK TABLE files IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)',
  );
  locked.catch(() => undefined);
  const waiting =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql' AND wait_event_type = 'Lock'";
  const capturing = captureWhole(session, rowsTarget(postgres, 1), { password: PASSWORD });
  capturing.catch(() => undefined);
  await until(async () => (await postgres.sql('postgres', waiting)) === '1\n');
  // The password is in no command line.
  expect((await sshd.commands()).map(({ line }) => line).join('\n')).not.toContain('canary');
  await postgres.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
  );
  await expect(capturing).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(/psql failed on the server[\s\S]*terminating connection/),
  });
  await postgres.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
  );
  await locked.catch(() => undefined);
});

test('cancelled while rows are brought to the server, nothing is left there', async () => {
  const session = await connect();
  const options = restoreOptions(session, rowsTarget(postgres, 3), captured, `cancelled-${process.pid}`);
  const { stdout } = await session.run(['sh', '-c', 'cd /var/lib/tarfleet/databases && ls'], {
    signal: calm(),
  });
  const cancelled = source.prepare({ ...options, ...cancelledWhen(captured.tar, async () => true) });
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  const after = await session.run(['sh', '-c', 'cd /var/lib/tarfleet/databases && ls'], { signal: calm() });
  expect(after.stdout.toString()).toBe(stdout.toString());
});
