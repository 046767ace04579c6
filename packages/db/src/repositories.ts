import { type ApiProcesses, createApiProcesses } from './api-processes.ts';
import { type ApiTokens, createApiTokens } from './api-tokens.ts';
import { type Artifacts, createArtifacts } from './artifacts.ts';
import { type AuditLog, createAuditLog } from './audit-log.ts';
import { type Backups, createBackups } from './backups.ts';
import { type Copies, createCopies } from './copies.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { createDestinations, type Destinations } from './destinations.ts';
import { createHolds, type Holds } from './holds.ts';
import { createIdempotency, type Idempotency } from './idempotency.ts';
import { createJobEvents, type JobEvents } from './job-events.ts';
import { createJobs, type Jobs } from './jobs.ts';
import { createLeases, type Leases } from './leases.ts';
import { createNotifier, type Notifier } from './notify.ts';
import type { Db } from './prisma-client.ts';
import { createProjectMembers, type ProjectMembers } from './project-members.ts';
import { createProjects, type Projects } from './projects.ts';
import { createRateLimits, type RateLimits } from './rate-limits.ts';
import { createProjectRecords, type ProjectRecords } from './records/project-records.ts';
import { createRestoredRecords, type RestoredRecords } from './records/restored-records.ts';
import { createRestoreList, type RestoreList } from './restore-list.ts';
import { createRestores, type Restores } from './restores.ts';
import { createRetention, type Retention } from './retention.ts';
import { createRewraps, type Rewraps } from './rewraps.ts';
import { createScheduleAlerts, type ScheduleAlerts } from './schedule-alerts.ts';
import { createScheduleRuns, type ScheduleRuns } from './schedule-runs.ts';
import { createSchedules, type Schedules } from './schedules.ts';
import { createServers, type Servers } from './servers.ts';
import { createServices, type Services } from './services.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createStatistics, type Statistics } from './statistics.ts';
import { createSurveys, type Surveys } from './surveys.ts';
import { createUsers, type Users } from './users.ts';
import { createWebhooks, type Webhooks } from './webhooks.ts';
import { createWorkers, type Workers } from './workers.ts';

/** Every repository, by its noun. */
export interface Repositories {
  apiProcesses: ApiProcesses;
  apiTokens: ApiTokens;
  artifacts: Artifacts;
  auditLog: AuditLog;
  backups: Backups;
  copies: Copies;
  deliveries: Deliveries;
  destinations: Destinations;
  holds: Holds;
  idempotency: Idempotency;
  jobEvents: JobEvents;
  jobs: Jobs;
  leases: Leases;
  notifier: Notifier;
  projectMembers: ProjectMembers;
  projectRecords: ProjectRecords;
  projects: Projects;
  rateLimits: RateLimits;
  restoreList: RestoreList;
  restoredRecords: RestoredRecords;
  restores: Restores;
  retention: Retention;
  rewraps: Rewraps;
  scheduleAlerts: ScheduleAlerts;
  scheduleRuns: ScheduleRuns;
  schedules: Schedules;
  servers: Servers;
  services: Services;
  sessions: Sessions;
  statistics: Statistics;
  surveys: Surveys;
  users: Users;
  webhooks: Webhooks;
  workers: Workers;
}

/** Binds them to the client, or to one transaction so that they are composed. */
export function createRepositories(db: Db): Repositories {
  return {
    apiProcesses: createApiProcesses(db),
    apiTokens: createApiTokens(db),
    artifacts: createArtifacts(db),
    auditLog: createAuditLog(db),
    backups: createBackups(db),
    copies: createCopies(db),
    deliveries: createDeliveries(db),
    destinations: createDestinations(db),
    holds: createHolds(db),
    idempotency: createIdempotency(db),
    jobEvents: createJobEvents(db),
    jobs: createJobs(db),
    leases: createLeases(db),
    notifier: createNotifier(db),
    projectMembers: createProjectMembers(db),
    projectRecords: createProjectRecords(db),
    projects: createProjects(db),
    rateLimits: createRateLimits(db),
    restoreList: createRestoreList(db),
    restoredRecords: createRestoredRecords(db),
    restores: createRestores(db),
    retention: createRetention(db),
    rewraps: createRewraps(db),
    scheduleAlerts: createScheduleAlerts(db),
    scheduleRuns: createScheduleRuns(db),
    schedules: createSchedules(db),
    servers: createServers(db),
    services: createServices(db),
    sessions: createSessions(db),
    statistics: createStatistics(db),
    surveys: createSurveys(db),
    users: createUsers(db),
    webhooks: createWebhooks(db),
    workers: createWorkers(db),
  };
}
