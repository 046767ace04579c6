import { AppError } from '@tarfleet/kernel';
import { v7 } from 'uuid';
import type { User as UserRow } from './generated/client.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';
import { inTransaction } from './transaction.ts';

export type Role = 'admin' | 'operator' | 'viewer';

export interface UserRecord {
  id: string;
  /** Lower case. */
  email: string;
  role: Role;
  /** Since when they may not log in; null when they may. */
  disabledAt: Date | null;
  createdAt: Date;
}

export interface NewUser {
  email: string;
  passwordHash: string;
  role: Role;
}

export type UserChanges = Partial<NewUser & { disabledAt: Date | null }>;

export interface Users {
  /** Newest first. */
  list(request: PageRequest): Promise<Page<UserRecord>>;
  get(id: string): Promise<UserRecord | null>;
  /** In any case of letters. */
  findByEmail(email: string): Promise<UserRecord | null>;
  /** For a login: the one call that gives a password hash. In any case of letters. */
  findWithPassword(email: string): Promise<{ user: UserRecord; passwordHash: string } | null>;
  count(): Promise<number>;
  /** CONFLICT when the address is taken. */
  create(user: NewUser): Promise<UserRecord>;
  /** Null when there is no such user. CONFLICT when the address is taken, or when no active admin would be left. */
  update(id: string, changes: UserChanges): Promise<UserRecord | null>;
  /** Takes sessions, tokens and memberships along; backups and jobs stay, without their author. CONFLICT for the last active admin. */
  delete(id: string): Promise<boolean>;
}

export function createUsers(db: Db): Users {
  return {
    list: (request) =>
      readPage(
        request,
        (range) => db.user.findMany({ ...range, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] }),
        () => db.user.count(),
        toUser,
      ),
    async get(id) {
      const row = await db.user.findUnique({ where: { id } });
      return row && toUser(row);
    },
    async findByEmail(email) {
      const row = await db.user.findUnique({ where: { email: email.toLowerCase() } });
      return row && toUser(row);
    },
    async findWithPassword(email) {
      const row = await db.user.findUnique({ where: { email: email.toLowerCase() } });
      return row && { user: toUser(row), passwordHash: row.passwordHash };
    },
    count: () => db.user.count(),
    async create(user) {
      const data = { ...user, id: v7(), email: user.email.toLowerCase() };
      return toUser(await db.user.create({ data }));
    },
    update: (id, changes) =>
      inTransaction(db, async (tx) => {
        const loses = (changes.role !== undefined && changes.role !== 'admin') || Boolean(changes.disabledAt);
        if (loses) await assertOtherAdmin(tx, id);
        const email = changes.email === undefined ? {} : { email: changes.email.toLowerCase() };
        const rows = await tx.user.updateManyAndReturn({ where: { id }, data: { ...changes, ...email } });
        return rows[0] ? toUser(rows[0]) : null;
      }),
    delete: (id) =>
      inTransaction(db, async (tx) => {
        await assertOtherAdmin(tx, id);
        return (await tx.user.deleteMany({ where: { id } })).count > 0;
      }),
  };
}

/** Locks the active admins, so that two of them cannot remove each other. */
async function assertOtherAdmin(tx: Db, id: string): Promise<void> {
  const admins = await tx.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM users WHERE role = 'admin' AND disabled_at IS NULL ORDER BY id FOR UPDATE`;
  if (admins.length === 1 && admins[0]?.id === id) {
    throw new AppError('CONFLICT', 'This is the last active admin; make another user an admin first.');
  }
}

/** @internal shared with the repositories that authenticate. */
export function toUser(row: UserRow): UserRecord {
  return {
    id: row.id,
    email: row.email,
    role: row.role as Role,
    disabledAt: row.disabledAt,
    createdAt: row.createdAt,
  };
}
