import type { ActiveRecordKind, RecordKind } from '@tarfleet/contracts';
import { Prisma } from '../generated/client.ts';

/** What of a row is a record: not what is found out again, nor when it was changed. */
const COLUMNS: Record<ActiveRecordKind, string[]> = {
  destinations: [
    ...['id', 'name', 'type', 'config', 'secret_ciphertext', 'retention_days', 'retention'],
    ...['capacity_bytes', 'is_default', 'enabled'],
  ],
  servers: [
    ...['id', 'project_id', 'name', 'kind', 'host', 'port', 'username', 'auth_type', 'host_key_fingerprint'],
    ...['pool', 'become_method', 'jump_id', 'sealed', 'environment'],
  ],
  services: [
    ...['id', 'server_id', 'name', 'type', 'component', 'config_paths', 'data_paths', 'exclude'],
    ...['backup_priority', 'depends_on', 'settings'],
  ],
  schedules: [
    ...['id', 'project_id', 'name', 'type', 'enabled', 'cron', 'every', 'anchor_at', 'time_zone', 'catch_up'],
    ...['max_lateness_seconds', 'components', 'services', 'server_id', 'destination_id', 'copy_to'],
    'retention_days',
    ...['retention', 'encrypt', 'verify', 'compress', 'compression_level', 'deduplicate', 'notification'],
  ],
};

export function tableOf(kind: ActiveRecordKind): Prisma.Sql {
  return Prisma.raw(`"${kind}"`);
}

/** Columns of the kind's table that these fields are of, in a fixed order. */
export function columnsOf(kind: ActiveRecordKind, fields?: object): string[] {
  return COLUMNS[kind].filter((name) => fields === undefined || name in fields);
}

/** A row of the kind's table as JSON; `t` is the row. */
export function rowOf(kind: ActiveRecordKind): Prisma.Sql {
  const pairs = COLUMNS[kind].map((name) => `'${name}', t."${name}"`).join(', ');
  return Prisma.raw(`jsonb_build_object(${pairs})`);
}

/** Which project's, and what else is asked. */
export interface RecordsOf {
  projectId: number;
  /** Where the backup goes. */
  destinationId: string;
  /** The audit log's rows from then on. */
  auditSince: Date;
}

/** Selects `id` and `row` of all of a project's records of a kind, without webhooks; API keys are their users', so those of its members. */
export function selectRecords(
  kind: RecordKind,
  { projectId, destinationId, auditSince }: RecordsOf,
): Prisma.Sql {
  switch (kind) {
    case 'destinations':
      return Prisma.sql`SELECT t.id, ${rowOf(kind)} AS row FROM destinations AS t
        WHERE t.id = ${destinationId}::uuid
          OR t.id IN (SELECT destination_id FROM schedules WHERE project_id = ${projectId})
          OR t.id IN (SELECT unnest(copy_to) FROM schedules WHERE project_id = ${projectId})
          OR t.id IN (SELECT destination_id FROM backups WHERE project_id = ${projectId} AND status <> 'deleted')
          OR t.id IN (SELECT c.destination_id FROM backup_copies AS c JOIN backups AS b ON b.id = c.backup_id
            WHERE b.project_id = ${projectId})`;
    case 'servers':
      return Prisma.sql`SELECT t.id, ${rowOf(kind)} AS row FROM ${tableOf(kind)} AS t WHERE t.project_id = ${projectId}`;
    case 'schedules':
      // A webhook's address is often a secret itself.
      return Prisma.sql`SELECT t.id, ${rowOf(kind)} || CASE WHEN jsonb_typeof(t.notification) = 'object'
          THEN jsonb_build_object('notification', t.notification || '{"webhook": null}') ELSE '{}' END AS row
        FROM schedules AS t WHERE t.project_id = ${projectId}`;
    case 'services':
      return Prisma.sql`SELECT t.id, ${rowOf(kind)} AS row FROM services AS t
        JOIN servers AS s ON s.id = t.server_id WHERE s.project_id = ${projectId}`;
    case 'members':
      return Prisma.sql`SELECT u.id, jsonb_build_object('id', u.id, 'email', u.email, 'role', m.role,
          'created_at', m.created_at) AS row
        FROM project_members AS m JOIN users AS u ON u.id = m.user_id WHERE m.project_id = ${projectId}`;
    case 'api_keys':
      return Prisma.sql`SELECT k.id, jsonb_build_object('id', k.id, 'user_id', u.id, 'email', u.email, 'name', k.name,
          'token_hash', encode(k.token_hash, 'hex'), 'prefix', k.prefix, 'role', k.role, 'expires_at', k.expires_at,
          'last_used_at', k.last_used_at, 'created_at', k.created_at, 'revoked_at', k.revoked_at) AS row
        FROM api_tokens AS k JOIN users AS u ON u.id = k.user_id
        JOIN project_members AS m ON m.user_id = u.id AND m.project_id = ${projectId}`;
    case 'audit_logs':
      return Prisma.sql`SELECT t.id, to_jsonb(t) AS row FROM audit_log AS t
        WHERE t.project_id = ${projectId} AND t.at >= ${auditSince}`;
  }
}
