import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';
import type { UserRecord } from './users.ts';

let db: MigratedDatabase;
let user: UserRecord;
const soon = (): Date => new Date(Date.now() + 3_600_000);

beforeAll(async () => {
  db = await openMigratedDatabase();
  user = await db.users.create({ email: 'a@example.com', passwordHash: 'x', role: 'operator' });
});

afterAll(async () => {
  await db.close();
});

test('an open session tells its user', async () => {
  const session = await db.sessions.create({ userId: user.id, expiresAt: soon() });
  expect(await db.sessions.authenticate(session.id)).toEqual({ session, user });
  expect(await db.sessions.authenticate(v7())).toBeNull();
});

test('one that is revoked or has expired does not', async () => {
  const revoked = await db.sessions.create({ userId: user.id, expiresAt: soon() });
  expect(await db.sessions.revoke(revoked.id)).toBe(true);
  expect(await db.sessions.revoke(revoked.id)).toBe(false);
  const expired = await db.sessions.create({ userId: user.id, expiresAt: new Date(Date.now() - 1_000) });
  expect(await db.sessions.authenticate(revoked.id)).toBeNull();
  expect(await db.sessions.authenticate(expired.id)).toBeNull();
});

test('a disabled user has none', async () => {
  const other = await db.users.create({ email: 'b@example.com', passwordHash: 'x', role: 'viewer' });
  const session = await db.sessions.create({ userId: other.id, expiresAt: soon() });
  await db.users.update(other.id, { disabledAt: new Date() });
  expect(await db.sessions.authenticate(session.id)).toBeNull();
});

test('all of a user end at once, save the one that asks; others keep theirs', async () => {
  const [a, b, c] = await Promise.all(
    [1, 2, 3].map(() => db.users.create({ email: `${v7()}@example.com`, passwordHash: 'x', role: 'viewer' })),
  ).then(async ([mine, theirs]) => [
    await db.sessions.create({ userId: mine!.id, expiresAt: soon() }),
    await db.sessions.create({ userId: mine!.id, expiresAt: soon() }),
    await db.sessions.create({ userId: theirs!.id, expiresAt: soon() }),
  ]);
  expect(await db.sessions.revokeAll(a!.userId, a!.id)).toBe(1);
  expect(await db.sessions.authenticate(a!.id)).not.toBeNull();
  expect(await db.sessions.authenticate(b!.id)).toBeNull();
  expect(await db.sessions.authenticate(c!.id)).not.toBeNull();
  expect(await db.sessions.revokeAll(a!.userId)).toBe(1);
});

test('only expired ones are purged', async () => {
  const open = await db.sessions.create({ userId: user.id, expiresAt: soon() });
  const expired = await db.sessions.create({ userId: user.id, expiresAt: new Date(Date.now() - 1_000) });
  expect(await db.sessions.purge()).toBeGreaterThanOrEqual(1);
  const left = (await db.prisma.session.findMany()).map((session) => session.id);
  expect(left).toContain(open.id);
  expect(left).not.toContain(expired.id);
});
