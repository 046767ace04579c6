import type { NotificationEvent } from '@tarfleet/contracts';
import { v7 } from 'uuid';
import type { Webhook as WebhookRow } from './generated/client.ts';
import { inScope, type Page, type PageRequest, type ProjectScope, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';

export interface WebhookRecord {
  id: string;
  projectId: number;
  url: string;
  events: NotificationEvent[];
  /** Its signing secret under the API's own key. */
  secretCiphertext: string;
  enabled: boolean;
  /** Why it was switched off by itself; null when it was not. */
  disabledReason: string | null;
  createdAt: Date;
  updatedAt: Date;
}

/** `id` may be given, for the secret is encrypted before the row is made. */
export type NewWebhook = Pick<WebhookRecord, 'projectId' | 'url' | 'events' | 'secretCiphertext'> & {
  id?: string;
};
export type WebhookChanges = Partial<
  Pick<WebhookRecord, 'url' | 'events' | 'secretCiphertext' | 'enabled' | 'disabledReason'>
>;

export interface Webhooks {
  /** Those of the scope, newest first. */
  list(request: PageRequest & { scope: ProjectScope; projectId?: number }): Promise<Page<WebhookRecord>>;
  get(id: string): Promise<WebhookRecord | null>;
  /** As `get`, locked until the transaction ends. */
  lock(id: string): Promise<WebhookRecord | null>;
  create(webhook: NewWebhook): Promise<WebhookRecord>;
  /** Null when there is no such webhook. */
  update(id: string, changes: WebhookChanges): Promise<WebhookRecord | null>;
  /** Takes its deliveries along. */
  delete(id: string): Promise<boolean>;
  /** The ids of those of a project that are to be told of an event. */
  subscribed(projectId: number, event: NotificationEvent): Promise<string[]>;
}

export function createWebhooks(db: Db): Webhooks {
  const get = async (id: string): Promise<WebhookRecord | null> => {
    const row = await db.webhook.findUnique({ where: { id } });
    return row && toWebhook(row);
  };
  return {
    list({ scope, projectId, ...request }) {
      const where = { AND: [inScope(scope), projectId === undefined ? {} : { projectId }] };
      return readPage(
        request,
        (range) => db.webhook.findMany({ ...range, where, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] }),
        () => db.webhook.count({ where }),
        toWebhook,
      );
    },
    get,
    async lock(id) {
      await db.$queryRaw`SELECT 1 AS locked FROM webhooks WHERE id = ${id}::uuid FOR UPDATE`;
      return get(id);
    },
    create: async (webhook) =>
      toWebhook(await db.webhook.create({ data: { ...webhook, id: webhook.id ?? v7() } })),
    async update(id, data) {
      const rows = await db.webhook.updateManyAndReturn({ where: { id }, data });
      return rows[0] ? toWebhook(rows[0]) : null;
    },
    delete: async (id) => (await db.webhook.deleteMany({ where: { id } })).count > 0,
    async subscribed(projectId, event) {
      const where = { projectId, enabled: true, events: { has: event } };
      const rows = await db.webhook.findMany({ where, select: { id: true }, orderBy: { id: 'asc' } });
      return rows.map(({ id }) => id);
    },
  };
}

function toWebhook(row: WebhookRow): WebhookRecord {
  return { ...row, events: row.events as NotificationEvent[] };
}
