import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NewApiToken } from './api-tokens.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';
import type { UserRecord } from './users.ts';

let db: MigratedDatabase;
let user: UserRecord;

beforeAll(async () => {
  db = await openMigratedDatabase();
  user = await db.users.create({ email: 'a@example.com', passwordHash: 'x', role: 'operator' });
});

afterAll(async () => {
  await db.close();
});

function draft(changes: Partial<NewApiToken> = {}): NewApiToken {
  const tokenHash = randomBytes(32);
  return {
    userId: user.id,
    name: 'ci',
    tokenHash,
    prefix: 'tf_abc',
    role: null,
    expiresAt: null,
    ...changes,
  };
}

test('a token is found by its hash alone, with its user, and its use is noted', async () => {
  const given = draft({ role: 'viewer', expiresAt: new Date(Date.now() + 60_000) });
  const token = await db.apiTokens.create(given);
  expect(token.lastUsedAt).toBeNull();
  expect(Object.keys(token)).not.toContain('tokenHash');
  const found = await db.apiTokens.authenticate(given.tokenHash);
  expect(found).toEqual({ token: { ...token, lastUsedAt: expect.any(Date) }, user });
  expect((await db.apiTokens.get(user.id, token.id))?.lastUsedAt).toEqual(found?.token.lastUsedAt);
  expect(await db.apiTokens.authenticate(randomBytes(32))).toBeNull();
});

test('expired, revoked, and of a disabled user: none is let in', async () => {
  const expired = draft({ expiresAt: new Date(Date.now() - 1_000) });
  await db.apiTokens.create(expired);
  const revoked = draft();
  const { id } = await db.apiTokens.create(revoked);
  expect(await db.apiTokens.revoke(user.id, id)).toBe(true);
  expect(await db.apiTokens.revoke(user.id, id)).toBe(false);
  const other = await db.users.create({ email: 'b@example.com', passwordHash: 'x', role: 'viewer' });
  const disabled = draft({ userId: other.id });
  await db.apiTokens.create(disabled);
  await db.users.update(other.id, { disabledAt: new Date() });
  for (const given of [expired, revoked, disabled]) {
    expect(await db.apiTokens.authenticate(given.tokenHash)).toBeNull();
  }
});

test('nobody sees or revokes the token of another', async () => {
  const given = draft();
  const { id } = await db.apiTokens.create(given);
  const other = await db.users.create({ email: 'c@example.com', passwordHash: 'x', role: 'admin' });
  expect(await db.apiTokens.get(other.id, id)).toBeNull();
  expect(await db.apiTokens.revoke(other.id, id)).toBe(false);
  expect((await db.apiTokens.list(other.id, { page: 1, perPage: 10 })).total).toBe(0);
  expect(await db.apiTokens.authenticate(given.tokenHash)).not.toBeNull();
  expect(await db.apiTokens.revokeAll(user.id)).toBeGreaterThan(0);
  expect(await db.apiTokens.authenticate(given.tokenHash)).toBeNull();
});

test('a hash of another length is refused', async () => {
  await expect(db.apiTokens.create(draft({ tokenHash: randomBytes(20) }))).rejects.toMatchObject({
    code: 'INTERNAL',
  });
});
