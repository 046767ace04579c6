/**
 * The records that Tarfleet itself keeps of a project, as they travel and lie in an archive: a list for each kind, one
 * line of JSON for each record, and one record that says how many there are.
 */
import { type Static, Type } from 'typebox';
import { ProjectId, Timestamp, Uuid } from './ids.ts';
import { SealedBox } from './sealed.ts';

const closed = { additionalProperties: false } as const;
const Name = Type.String({ minLength: 1, maxLength: 1000 });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

/** Those that a restore may put in place, in an order in which each refers only to earlier ones. */
export const ACTIVE_RECORD_KINDS = ['destinations', 'servers', 'services', 'schedules'] as const;
export type ActiveRecordKind = (typeof ACTIVE_RECORD_KINDS)[number];

/** Those that come back to be read: what somebody may do is decided by what is there now. */
export const READ_RECORD_KINDS = ['members', 'api_keys', 'audit_logs'] as const;
export type ReadRecordKind = (typeof READ_RECORD_KINDS)[number];

/** In this order everywhere. */
export const RECORD_KINDS = [...ACTIVE_RECORD_KINDS, ...READ_RECORD_KINDS] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

/** What stands where an archive of a service has its service, server and component. */
export const PROJECT_RECORDS = {
  serviceId: '00000000-0000-7000-8000-00000000002a',
  serviceName: 'project-records',
  serverId: '00000000-0000-7000-8000-00000000002b',
  serverName: 'tarfleet',
  component: 'project_records',
  type: 'records',
  method: 'project_records',
} as const;

/** Bounds of a backup's records: what they are as text, what the audit log may fill when compressed, one record's text; in bytes. */
export const RECORDS_TEXT_MAX = 32 * 1024 * 1024;
export const RECORDS_PACKED_MAX = 4 * 1024 * 1024;
export const RECORD_MAX = 1024 * 1024;
/** Of one event that hands records back, and of the number of records in it. */
export const RECORDS_EVENT_BYTES = 256 * 1024;
export const RECORDS_EVENT_MOST = 5000;

/** What older versions do not know of is left out, what later ones add is let through. */
export const RECORD_SCHEMAS = {
  destinations: Type.Object({
    id: Uuid,
    name: Name,
    type: Name,
    config: Type.Object({}),
    secret_ciphertext: orNull(Type.String()),
    is_default: Type.Boolean(),
  }),
  servers: Type.Object({
    id: Uuid,
    project_id: ProjectId,
    name: Name,
    kind: Type.Enum(['ssh', 'local']),
    host: orNull(Name),
    port: orNull(Type.Integer({ minimum: 1, maximum: 65535 })),
    username: orNull(Name),
    auth_type: Name,
    host_key_fingerprint: orNull(Type.String()),
    pool: Name,
    jump_id: orNull(Uuid),
    sealed: orNull(SealedBox),
  }),
  services: Type.Object({
    id: Uuid,
    server_id: Uuid,
    name: Name,
    type: Name,
    settings: Type.Record(Type.String(), Type.Unknown()),
  }),
  schedules: Type.Object({
    id: Uuid,
    project_id: ProjectId,
    name: Name,
    type: Name,
    enabled: Type.Boolean(),
    services: Type.Array(Type.String()),
    server_id: orNull(Uuid),
    destination_id: orNull(Uuid),
    copy_to: Type.Optional(Type.Array(Uuid)),
  }),
  members: Type.Object({ id: Uuid, email: Name, role: Name }),
  api_keys: Type.Object({ id: Uuid, user_id: Uuid, name: Name, token_hash: Type.String() }),
  audit_logs: Type.Object({ id: Uuid, at: Timestamp, action: Name }),
};
export type RecordOf<K extends RecordKind> = Static<(typeof RECORD_SCHEMAS)[K]>;

/** How many of each kind. */
export const RecordCounts = Type.Object(
  Object.fromEntries(RECORD_KINDS.map((kind) => [kind, Type.Integer({ minimum: 0 })])) as Record<
    RecordKind,
    ReturnType<typeof Type.Integer>
  >,
  closed,
);
export type RecordCounts = Static<typeof RecordCounts>;

/** What the API keeps of a backup's records, to know them again. */
export interface RecordsSummary {
  counts: RecordCounts;
  /** Hex, of all lines as they travel: kind, a tab, JSON, a newline; the metadata's last. */
  sha256: string;
}

/** The archive's `metadata.json`; the names inside `metadata` are those of the structure that users know. */
export const RecordsMetadata = Type.Object({
  metadata: Type.Object({
    project_id: ProjectId,
    project_name: Type.String(),
    created_at: Timestamp,
    backup_type: Type.Enum(['manual', 'automatic']),
    cloudbox_version: Type.String(),
  }),
  backup_version: Type.Literal('1.0'),
  counts: RecordCounts,
  /** Rows of the audit log from when on, and how many of them are not in the backup: it would have been too long. */
  audit_since: Timestamp,
  audit_left_out: Type.Integer({ minimum: 0 }),
});
export type RecordsMetadata = Static<typeof RecordsMetadata>;

/** What a restore does with records that differ from the backup's; those that are not there any more come back in either. */
export const RECORDS_MODES = ['missing', 'all'] as const;
export type RecordsMode = (typeof RECORDS_MODES)[number];

/** One record as it is handed back: its kind, or `metadata`, and the line of the archive. */
export const HandedRecord = Type.Tuple([
  Type.Enum([...RECORD_KINDS, 'metadata']),
  Type.String({ minLength: 2, maxLength: RECORD_MAX }),
]);
export type HandedRecord = Static<typeof HandedRecord>;
