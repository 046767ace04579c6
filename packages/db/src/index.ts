/** The system's records, a repository for each noun. The only room that knows Prisma. */
export type { ApiProcesses } from './api-processes.ts';
export type { ApiTokenRecord, ApiTokens, NewApiToken } from './api-tokens.ts';
export type * from './artifacts.ts';
export type { AuditEntry, AuditOutcome } from './audit-entry.ts';
export { AUDIT_OUTCOMES } from './audit-entry.ts';
export { type AuditFilter, type AuditLog, createAuditId } from './audit-log.ts';
export type * from './backups.ts';
export type * from './copies.ts';
export { createDatabase, type Database, type DatabaseOptions } from './database.ts';
export type * from './deliveries.ts';
export { DELIVERY_CHANNELS, DELIVERY_STATES } from './deliveries.ts';
export type { DestinationChanges, DestinationRecord, Destinations, NewDestination } from './destinations.ts';
export type { Holds } from './holds.ts';
export type { Begun, Idempotency, StoredAnswer } from './idempotency.ts';
export type * from './job-events.ts';
export type * from './jobs.ts';
export type * from './leases.ts';
export { migrateDatabase } from './migrate.ts';
export { type JobListener, listenToJobs, type Notifier } from './notify.ts';
export type { Page, PageRequest, ProjectScope } from './page.ts';
export type { MemberRecord, ProjectMembers } from './project-members.ts';
export type { ProjectRecord, Projects } from './projects.ts';
export type { RateLimitHit, RateLimits } from './rate-limits.ts';
export type { ProjectRecords, RecordLine, RecordRow, RecordsOf } from './records/project-records.ts';
export type { RestoredRecord, RestoredRecords, StagedRecord } from './records/restored-records.ts';
export type { Repositories } from './repositories.ts';
export type * from './restore-list.ts';
export { RESTORE_LIST_STATES } from './restore-list.ts';
export type * from './restores.ts';
export type * from './retention.ts';
export type * from './rewraps.ts';
export type * from './schedule-alerts.ts';
export type * from './schedule-runs.ts';
export type * from './schedules.ts';
export type { NewServer, ServerChanges, ServerFilter, ServerRecord, Servers } from './servers.ts';
export type { NewService, ServiceChanges, ServiceRecord, Services } from './services.ts';
export type { SessionRecord, Sessions } from './sessions.ts';
export {
  type Statistics,
  type StatisticsFilter,
  type StorageStatistics,
  statisticsQueries,
  type TypeStatistics,
} from './statistics.ts';
export {
  MOST_UNKNOWN,
  type SurveyAttempt,
  type SurveyRecord,
  type Surveys,
  type UnknownRecord,
} from './surveys.ts';
export type { NewUser, Role, UserChanges, UserRecord, Users } from './users.ts';
export type * from './webhooks.ts';
export type { WorkerRecord, Workers } from './workers.ts';
