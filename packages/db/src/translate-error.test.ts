import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { v7 } from 'uuid';
import { createDatabase } from './database.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;

beforeAll(async () => {
  db = await openMigratedDatabase();
});

afterAll(async () => {
  await db.close();
});

async function errorOf(action: Promise<unknown>): Promise<AppError> {
  const error = await action.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

/** All that a log line or a stored failure could show of an error. */
function everythingOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const names = Object.getOwnPropertyNames(error);
  return names.map((name) => everythingOf((error as Record<string, unknown>)[name])).join('\n');
}

test('no error carries the values of the query', async () => {
  const canary = 'canary-3f9a';
  const user = { email: `${canary}@example.com`, passwordHash: canary, role: 'admin' as const };
  await db.users.create(user);
  const faults = await Promise.all([
    errorOf(db.users.create(user)),
    errorOf(db.users.create({ ...user, email: `x-${canary}`, role: canary as 'admin' })),
    errorOf(
      db.users.create({ ...user, email: undefined as unknown as string, role: canary as 'admin' }).catch(
        // A fault before any query, in the repository itself.
        (error: unknown) =>
          Promise.reject(error instanceof TypeError ? new AppError('INTERNAL', 'type') : error),
      ),
    ),
    errorOf(db.prisma.user.create({ data: { email: canary, passwordHash: canary } as never })),
    errorOf(db.prisma.$queryRawUnsafe(`SELECT '${canary}'::int`)),
    errorOf(
      db.prisma
        .$executeRaw`INSERT INTO users (id, email, password_hash, role) VALUES (${v7()}::uuid, ${canary}, ${canary}, 'none')`,
    ),
  ]);
  for (const fault of faults) expect(everythingOf(fault)).not.toContain(canary);
  expect(faults.map((fault) => fault.code)).toEqual([
    'CONFLICT',
    'INTERNAL',
    'INTERNAL',
    'INTERNAL',
    'VALIDATION_FAILED',
    'INTERNAL',
  ]);
});

test('a taken name says what is taken, from queries of either kind', async () => {
  await db.projects.create({ name: 'taken' });
  const message = 'A project with this name exists already; choose another name.';
  expect(await errorOf(db.projects.create({ name: 'taken' }))).toMatchObject({ code: 'CONFLICT', message });
  const raw = db.prisma.$executeRaw`INSERT INTO projects (name) VALUES ('taken')`;
  expect(await errorOf(raw)).toMatchObject({ code: 'CONFLICT', message });
});

test('a reference to what is not there differs from one to what is still needed', async () => {
  const project = await db.projects.create({ name: 'referred' });
  const server = {
    id: v7(),
    projectId: project.id,
    name: 'a',
    kind: 'local',
    authType: 'none',
    pool: 'main',
  };
  expect(await errorOf(db.prisma.server.create({ data: { ...server, projectId: 999_999 } }))).toMatchObject({
    code: 'CONFLICT',
    message: 'The project does not exist; check the project id.',
  });
  await db.prisma.server.create({ data: server });
  expect(await errorOf(db.prisma.project.delete({ where: { id: project.id } }))).toMatchObject({
    code: 'CONFLICT',
    message: 'The project still has servers; delete them first.',
  });
});

test('text that no column can hold is the fault of whoever sent it', async () => {
  expect(await errorOf(db.projects.create({ name: 'a\0b' }))).toMatchObject({ code: 'VALIDATION_FAILED' });
});

test.each([
  ['nobody listens', (url: URL) => Object.assign(url, { port: '1' })],
  ['a wrong password', (url: URL) => Object.assign(url, { password: 'wrong' })],
  ['no such database', (url: URL) => Object.assign(url, { pathname: '/nowhere' })],
])('%s: every call is a retryable fault, and says so at once', async (_name, change) => {
  const database = createDatabase({ url: change(new URL(db.url)).href });
  const unavailable = { code: 'UNAVAILABLE', retryable: true };
  expect(await errorOf(database.ping())).toMatchObject(unavailable);
  expect(await errorOf(database.users.count())).toMatchObject(unavailable);
  expect(await errorOf(database.transaction((tx) => tx.users.count()))).toMatchObject(unavailable);
  expect(everythingOf(await errorOf(database.ping()))).not.toContain('wrong');
  await database.close();
});
