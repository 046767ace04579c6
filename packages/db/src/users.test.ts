import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;

beforeAll(async () => {
  db = await openMigratedDatabase();
});

beforeEach(async () => {
  await db.prisma.user.deleteMany();
});

afterAll(async () => {
  await db.close();
});

const admin = { email: 'Root@Example.com', passwordHash: 'hash', role: 'admin' as const };

test('an address is one address in any case of letters', async () => {
  const user = await db.users.create(admin);
  expect(user.email).toBe('root@example.com');
  await expect(db.users.create({ ...admin, email: 'ROOT@example.COM' })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: 'A user with this e-mail address exists already.',
  });
  expect(await db.users.findByEmail('rOOt@example.com')).toEqual(user);
  expect(await db.users.findWithPassword('ROOT@example.com')).toEqual({ user, passwordHash: 'hash' });
  await db.users.update(user.id, { email: 'NEW@example.com' });
  expect((await db.users.get(user.id))?.email).toBe('new@example.com');
});

test('only a login sees the password hash', async () => {
  const user = await db.users.create(admin);
  const changed = await db.users.update(user.id, { passwordHash: 'other' });
  const page = await db.users.list({ page: 1, perPage: 10 });
  for (const seen of [user, changed, await db.users.get(user.id), page]) {
    expect(JSON.stringify(seen)).not.toMatch(/hash|other/i);
  }
  expect((await db.users.findWithPassword(user.email))?.passwordHash).toBe('other');
});

test('lists come in pages, newest first', async () => {
  for (let i = 1; i <= 5; i += 1) await db.users.create({ ...admin, email: `u${i}@example.com` });
  const pages = await Promise.all([1, 2, 3, 4].map((page) => db.users.list({ page, perPage: 2 })));
  expect(pages.map((page) => page.items.map((user) => user.email.slice(0, 2)))).toEqual([
    ['u5', 'u4'],
    ['u3', 'u2'],
    ['u1'],
    [],
  ]);
  expect(pages[0]).toMatchObject({ total: 5, page: 1, perPage: 2 });
});

test('the last active admin cannot be lost', async () => {
  const first = await db.users.create(admin);
  const second = await db.users.create({ ...admin, email: 'second@example.com' });
  await db.users.update(second.id, { disabledAt: new Date() });
  const conflict = { code: 'CONFLICT', message: expect.stringContaining('last active admin') };
  await expect(db.users.delete(first.id)).rejects.toMatchObject(conflict);
  await expect(db.users.update(first.id, { role: 'viewer' })).rejects.toMatchObject(conflict);
  await expect(db.users.update(first.id, { disabledAt: new Date() })).rejects.toMatchObject(conflict);
  expect(await db.users.delete(second.id)).toBe(true);
});

test('two admins cannot remove each other at the same moment', async () => {
  for (let round = 0; round < 5; round += 1) {
    await db.prisma.user.deleteMany();
    const a = await db.users.create(admin);
    const b = await db.users.create({ ...admin, email: 'b@example.com' });
    await Promise.allSettled([db.users.delete(a.id), db.users.update(b.id, { role: 'viewer' })]);
    expect(await db.prisma.user.count({ where: { role: 'admin' } })).toBe(1);
  }
});

test('who is gone stays gone', async () => {
  const user = await db.users.create({ ...admin, role: 'viewer' });
  expect(await db.users.delete(user.id)).toBe(true);
  expect(await db.users.delete(user.id)).toBe(false);
  expect(await db.users.get(user.id)).toBeNull();
  expect(await db.users.update(user.id, { role: 'operator' })).toBeNull();
});
