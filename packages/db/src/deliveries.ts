import { v7 } from 'uuid';
import type { Delivery as DeliveryRow, Prisma } from './generated/client.ts';
import { inScope, type Page, type PageRequest, type ProjectScope, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';

export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];
export const DELIVERY_CHANNELS = ['webhook', 'email'] as const;
export type DeliveryChannel = (typeof DELIVERY_CHANNELS)[number];

export interface DeliveryRecord {
  id: string;
  projectId: number;
  /** Null when a request named the address. */
  webhookId: string | null;
  channel: DeliveryChannel;
  /** The address that a request named; null for a webhook's. */
  target: string | null;
  event: string;
  payload: string;
  jobId: string | null;
  backupId: string | null;
  state: DeliveryState;
  /** Begun so far, the one in hand included. */
  attempts: number;
  /** The same since it was stored or last asked for again. */
  tries: number;
  /** Null once it has ended. */
  nextAt: Date | null;
  lastAttemptAt: Date | null;
  /** The receiver's last answer; null when there was none. */
  lastStatus: number | null;
  lastError: string | null;
  createdAt: Date;
  endedAt: Date | null;
}

export type DeliveryDraft = Pick<DeliveryRecord, 'projectId' | 'event' | 'payload'> &
  Partial<Pick<DeliveryRecord, 'id' | 'jobId' | 'backupId'>> & {
    /** One with a key that is there already is not stored. */
    dedupeKey?: string;
  } & (
    | { channel: 'webhook'; webhookId: string }
    | { channel: DeliveryChannel; target: string; lane: string }
  );

/** In the hands of one process, until its time is over. */
export interface ClaimedDelivery extends DeliveryRecord {
  claim: string;
  lane: string;
}

export type DeliveryEnd =
  | { state: 'delivered'; status: number | null }
  | { state: 'failed'; status: number | null; error: string }
  /** Another try, so many milliseconds from now. */
  | { state: 'pending'; status: number | null; error: string; afterMs: number };

export interface DeliveryFilter extends PageRequest {
  scope?: ProjectScope;
  webhookId?: string;
  state?: DeliveryState;
  channel?: DeliveryChannel;
  backupId?: string;
  event?: string;
}

/** The outbox: rows are stored in the transaction of what they tell of, and sent by whichever process is there. */
export interface Deliveries {
  add(drafts: readonly DeliveryDraft[]): Promise<void>;
  get(id: string): Promise<DeliveryRecord | null>;
  /** Newest first. */
  list(filter: DeliveryFilter): Promise<Page<DeliveryRecord>>;
  /**
   * Takes the one that is due longest and in none of these lanes, and counts an attempt. Nobody else gets it for
   * `claimMs`; then, when the process that took it has died, the next one does.
   */
  claim(options: { busy: readonly string[]; claimMs: number }): Promise<ClaimedDelivery | null>;
  /** What became of the attempt. False when the claim was over and somebody else has taken it. */
  finish(claimed: Pick<ClaimedDelivery, 'id' | 'claim'>, end: DeliveryEnd): Promise<boolean>;
  /** Gives it back as if it had not been taken. */
  release(claimed: Pick<ClaimedDelivery, 'id' | 'claim'>): Promise<void>;
  /** Makes it due now, with all its tries before it. False while somebody has it in hand. */
  resend(id: string): Promise<boolean>;
  /** How many wait and are due. */
  countDue(): Promise<number>;
  /** Removes what ended before. Returns how many. */
  purge(before: Date): Promise<number>;
}

export function createDeliveries(db: Db): Deliveries {
  const get = async (id: string): Promise<DeliveryRecord | null> => {
    const row = await db.delivery.findUnique({ where: { id } });
    return row && toDelivery(row);
  };
  return {
    async add(drafts) {
      if (drafts.length === 0) return;
      const now = new Date();
      const data = drafts.map((draft) => ({
        ...draft,
        id: draft.id ?? v7(),
        lane: 'lane' in draft ? draft.lane : `webhook:${draft.webhookId}`,
        nextAt: now,
      }));
      await db.delivery.createMany({ data, skipDuplicates: true });
    },
    get,
    list({ page, perPage, scope = 'all', ...filter }) {
      const where: Prisma.DeliveryWhereInput = { ...filter, AND: [inScope(scope)] };
      return readPage(
        { page, perPage },
        (range) => db.delivery.findMany({ ...range, where, orderBy: { id: 'desc' } }),
        () => db.delivery.count({ where }),
        toDelivery,
      );
    },
    async claim({ busy, claimMs }) {
      const claim = v7();
      const rows = await db.$queryRaw<{ id: string }[]>`
        UPDATE deliveries SET claim = ${claim}::uuid, attempts = attempts + 1, tries = tries + 1,
          claimed_until = clock_timestamp() + ${claimMs} * interval '1 millisecond',
          last_attempt_at = clock_timestamp()
        WHERE id = (
          SELECT id FROM deliveries
          WHERE state = 'pending' AND next_at <= clock_timestamp()
            AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())
            AND lane <> ALL(${[...busy]}::text[])
          ORDER BY next_at FOR UPDATE SKIP LOCKED LIMIT 1)
        RETURNING id::text`;
      const [found] = rows;
      if (!found) return null;
      const row = await db.delivery.findUnique({ where: { id: found.id } });
      return row && { ...toDelivery(row), claim, lane: row.lane };
    },
    finish: (claimed, end) => finish(db, claimed, end),
    async release({ id, claim }) {
      await db.delivery.updateMany({
        where: { id, claim },
        data: { ...FREE, attempts: { decrement: 1 }, tries: { decrement: 1 } },
      });
    },
    async resend(id) {
      const count = await db.$executeRaw`
        UPDATE deliveries SET state = 'pending', next_at = clock_timestamp(), tries = 0, ended_at = NULL
        WHERE id = ${id}::uuid AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())`;
      return count > 0;
    },
    async countDue() {
      return db.delivery.count({ where: { state: 'pending', nextAt: { lte: new Date() } } });
    },
    purge: async (before) => (await db.delivery.deleteMany({ where: { endedAt: { lt: before } } })).count,
  };
}

const FREE = { claim: null, claimedUntil: null } as const;

async function finish(
  db: Db,
  { id, claim }: Pick<ClaimedDelivery, 'id' | 'claim'>,
  end: DeliveryEnd,
): Promise<boolean> {
  const now = Date.now();
  const pending = end.state === 'pending';
  const { count } = await db.delivery.updateMany({
    where: { id, claim },
    data: {
      ...FREE,
      state: end.state,
      lastStatus: end.status,
      lastError: end.state === 'delivered' ? null : end.error,
      nextAt: pending ? new Date(now + end.afterMs) : null,
      endedAt: pending ? null : new Date(now),
    },
  });
  return count > 0;
}

function toDelivery(row: DeliveryRow): DeliveryRecord {
  const { lane: _lane, dedupeKey: _dedupeKey, claim: _claim, claimedUntil: _until, ...rest } = row;
  return {
    ...rest,
    channel: row.channel as DeliveryChannel,
    state: row.state as DeliveryState,
  };
}
