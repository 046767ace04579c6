import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MysqlTarget } from '@tarfleet/contracts';
import { type RunningMariadb, type RunningSshd, startMariadb, startSshd } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { sshSession, until } from '../../files/testing-sessions.ts';
import { captureWhole } from '../testing-captures.ts';
import { SHOP } from '../testing-shop.ts';
import { createSqlDumpCounter } from './count-dump.ts';

const PASSWORD = 'my"ca\\na\'ry #;=x';
let mariadb: RunningMariadb;
let sshd: RunningSshd;
let session: Session;

const target = (more: Partial<MysqlTarget> = {}): MysqlTarget => ({
  ...{ type: 'mysql', host: '127.0.0.1', port: mariadb.port, user: 'backup', secrets: null },
  ...{ runAs: null, binDir: null, databases: ['shop'], schemaOnly: false },
  ...{ includeTables: [], excludeTables: [] },
  ...more,
});
const capture = (more: Partial<MysqlTarget> = {}) =>
  captureWhole(session, target(more), { password: PASSWORD });

beforeAll(async () => {
  mariadb = await startMariadb({ password: PASSWORD });
  sshd = await startSshd();
  session = await sshSession(sshd);
  await mariadb.sql(SHOP);
}, 120_000);

afterAll(async () => {
  await session?.close();
  await sshd?.stop();
  await mariadb?.stop();
});

test('a database with its routines, triggers, events and views loads elsewhere row by row', async () => {
  const { dumps, facts } = await capture();
  expect([...dumps.keys()]).toEqual(['about.json', 'db-shop.sql']);
  expect(facts).toMatchObject({ method: 'mariadb-dump', databases: ['shop'], tables: 3, records: 2004 });
  await mariadb.sql('CREATE DATABASE other');
  await mariadb.sql(dumps.get('db-shop.sql')?.toString() ?? '', 'other');
  for (const table of ['customers', 'orders', 'odd(table', 'totals']) {
    const rows = (database: string): Promise<string> =>
      mariadb.sql(`SELECT * FROM ${database}.\`${table}\` ORDER BY 1`);
    expect(await rows('other')).toBe(await rows('shop'));
  }
  const things = (database: string): Promise<string> =>
    mariadb.sql(
      `SELECT 'routine', ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '${database}'
       UNION ALL SELECT 'trigger', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '${database}'
       UNION ALL SELECT 'event', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '${database}'
       UNION ALL SELECT 'view', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '${database}' ORDER BY 1, 2`,
    );
  expect((await things('shop')).trim().split('\n')).toHaveLength(5);
  expect(await things('other')).toBe(await things('shop'));
});

test('all databases but the system’s own; tables by name; a schema alone', async () => {
  await mariadb.sql(
    'CREATE DATABASE `-t x`; CREATE TABLE `-t x`.t (n INT) ENGINE=MyISAM; INSERT INTO `-t x`.t VALUES (1), (2)',
  );
  const all = await capture({ databases: ['-t x'] });
  expect([...all.dumps.keys()]).toEqual(['about.json', 'db-%2dt%20x.sql']);
  expect(all.facts).toMatchObject({ tables: 1, records: 2 });
  expect(all.warnings.map(({ code }) => code)).toEqual(['TABLE_NOT_TRANSACTIONAL']);
  expect((await capture({ databases: null })).facts.databases).toEqual(
    expect.arrayContaining(['-t x', 'shop']),
  );
  const some = await capture({ includeTables: ['shop.orders'] });
  expect(some.facts).toMatchObject({ tables: 1, records: 1500 });
  const others = await capture({ excludeTables: ['shop.orders'] });
  expect(others.facts).toMatchObject({ tables: 2, records: 504 });
  expect((await capture({ schemaOnly: true })).facts).toMatchObject({ tables: 3, records: 0 });
});

test('a wrong password, a missing database and a dump that is killed fail in the tool’s words', async () => {
  await expect(captureWhole(session, target(), { password: 'wrong' })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('Access denied'),
  });
  await expect(capture({ databases: ['gone'] })).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
  const locked = mariadb.sql('LOCK TABLES shop.orders WRITE; SELECT SLEEP(600)');
  locked.catch(() => undefined);
  const capturing = capture();
  capturing.catch(() => undefined);
  const waits =
    "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'backup' AND STATE LIKE 'Waiting%'";
  await until(async () => (await mariadb.sql(waits)) !== '');
  const commands = (await sshd.commands()).map(({ line }) => line).join('\n');
  expect(commands).toContain('mariadb-dump');
  expect(commands).not.toContain('ca\\na');
  await mariadb.sql(`KILL ${(await mariadb.sql(waits)).trim()}`);
  await expect(capturing).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(
      /mariadb-dump failed on the server[\s\S]*(Lost connection|gone away|interrupted|killed)/i,
    ),
  });
  await mariadb
    .sql(
      "KILL (SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(600)%' AND USER = 'root' AND ID <> CONNECTION_ID() LIMIT 1)",
    )
    .catch(async () => {
      const id = await mariadb.sql(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'",
      );
      await mariadb.sql(`KILL ${id.trim()}`);
    });
  await locked.catch(() => undefined);
});

test('the counter knows rows on one line and on many, in whatever pieces they come', () => {
  const dump = Buffer.from(
    "-- x\nCREATE TABLE `t` (\n  `a` int\n);\nINSERT INTO `t` VALUES (1,'a),(\\'b;'),(2,0x28),(3,'it''s (');\n" +
      "INSERT INTO `odd(t` (`a`) VALUES\n(1,_binary '\\\\'),\n(2,NULL);\nCREATE TABLE `u` (x int);\n-- Dump completed on 2026\n",
  );
  for (const size of [1, 3, 1000]) {
    const counter = createSqlDumpCounter();
    for (let at = 0; at < dump.length; at += size) counter.see(dump.subarray(at, at + size));
    expect(counter.counts()).toEqual({ tables: 2, records: 5, whole: true });
  }
});
