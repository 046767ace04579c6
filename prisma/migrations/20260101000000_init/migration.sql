-- CreateTable
CREATE TABLE "projects" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "projects_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "users" (
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "password_hash" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "disabled_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_members" (
    "project_id" INTEGER NOT NULL,
    "user_id" UUID NOT NULL,
    "role" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "project_members_pkey" PRIMARY KEY ("project_id","user_id")
);

-- CreateTable
CREATE TABLE "sessions" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_tokens" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "token_hash" BYTEA NOT NULL,
    "prefix" TEXT NOT NULL,
    "role" TEXT,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "servers" (
    "id" UUID NOT NULL,
    "project_id" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "host" TEXT,
    "port" INTEGER,
    "username" TEXT,
    "auth_type" TEXT NOT NULL,
    "host_key_fingerprint" TEXT,
    "pool" TEXT NOT NULL,
    "become_method" TEXT,
    "jump_id" UUID,
    "sealed" JSONB,
    "environment" TEXT,
    "tools" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(3),

    CONSTRAINT "servers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "services" (
    "id" UUID NOT NULL,
    "server_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "component" TEXT NOT NULL,
    "config_paths" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "data_paths" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "exclude" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "backup_priority" INTEGER NOT NULL DEFAULT 0,
    "depends_on" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "settings" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "services_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "destinations" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "config" JSONB NOT NULL,
    "secret_ciphertext" TEXT,
    "retention_days" INTEGER,
    "is_default" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "destinations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "backups" (
    "id" UUID NOT NULL,
    "project_id" INTEGER NOT NULL,
    "created_by" UUID,
    "name" TEXT,
    "description" TEXT,
    "type" TEXT NOT NULL,
    "dialect" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "destination_id" UUID,
    "key_prefix" TEXT NOT NULL,
    "manifest_key" TEXT,
    "manifest_sha256" TEXT,
    "size_bytes" BIGINT,
    "content_bytes" BIGINT,
    "files_count" BIGINT,
    "directories_count" BIGINT,
    "encrypted" BOOLEAN NOT NULL DEFAULT false,
    "compressed" BOOLEAN NOT NULL DEFAULT true,
    "compression_level" INTEGER,
    "verify_requested" BOOLEAN NOT NULL DEFAULT false,
    "verified" BOOLEAN,
    "verified_at" TIMESTAMPTZ(3),
    "retention_days" INTEGER,
    "retention_until" TIMESTAMPTZ(3),
    "tags" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "error_code" TEXT,
    "error_message" TEXT,
    "warnings" JSONB NOT NULL DEFAULT '[]',
    "restore_count" INTEGER NOT NULL DEFAULT 0,
    "last_restored_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),
    "sweep_after" TIMESTAMPTZ(3),
    "swept_at" TIMESTAMPTZ(3),

    CONSTRAINT "backups_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "artifacts" (
    "id" UUID NOT NULL,
    "backup_id" UUID NOT NULL,
    "server_id" UUID NOT NULL,
    "server_name" TEXT NOT NULL,
    "service_id" UUID NOT NULL,
    "service_name" TEXT NOT NULL,
    "component" TEXT NOT NULL,
    "paths" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "status" TEXT NOT NULL,
    "key" TEXT,
    "sha256" TEXT,
    "stored_bytes" BIGINT,
    "tar_bytes" BIGINT,
    "content_bytes" BIGINT,
    "files" BIGINT,
    "directories" BIGINT,
    "other_entries" BIGINT,
    "warnings" INTEGER NOT NULL DEFAULT 0,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "error_code" TEXT,
    "error_message" TEXT,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),

    CONSTRAINT "artifacts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "jobs" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "pool" TEXT NOT NULL,
    "project_id" INTEGER NOT NULL,
    "user_id" UUID,
    "backup_id" UUID,
    "parent_id" UUID,
    "request_id" TEXT NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'queued',
    "plan" TEXT NOT NULL,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "dispatched_at" TIMESTAMPTZ(3),
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "token" TEXT,
    "last_seq" INTEGER NOT NULL DEFAULT 0,
    "progress" JSONB,
    "progress_attempt" INTEGER NOT NULL DEFAULT 0,
    "progress_n" INTEGER NOT NULL DEFAULT 0,
    "result" JSONB,
    "error_code" TEXT,
    "error_message" TEXT,
    "error_retryable" BOOLEAN,
    "cancel_requested_at" TIMESTAMPTZ(3),
    "cancel_reason" TEXT,
    "worker" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "removed_from_queue_at" TIMESTAMPTZ(3),
    "last_checked_at" TIMESTAMPTZ(3),

    CONSTRAINT "jobs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "job_events" (
    "id" BIGSERIAL NOT NULL,
    "job_id" UUID NOT NULL,
    "attempt" INTEGER NOT NULL,
    "seq" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "job_events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "service_leases" (
    "service_id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "taken_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "service_leases_pkey" PRIMARY KEY ("service_id")
);

-- CreateTable
CREATE TABLE "restore_jobs" (
    "id" UUID NOT NULL,
    "backup_id" UUID,
    "server_id" UUID,
    "user_id" UUID,
    "restore_type" VARCHAR(50),
    "status" VARCHAR(50),
    "progress_percentage" INTEGER,
    "current_step" VARCHAR(255),
    "services_to_restore" TEXT[],
    "services_restored" TEXT[],
    "services_failed" TEXT[],
    "rollback_path" TEXT,
    "error_message" TEXT,
    "metadata" JSONB,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "restore_jobs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "restore_audit_logs" (
    "id" UUID NOT NULL,
    "restore_job_id" UUID,
    "step_number" INTEGER,
    "step_name" VARCHAR(255),
    "status" VARCHAR(50),
    "message" TEXT,
    "details" JSONB,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "duration_ms" INTEGER,
    "created_at" TIMESTAMPTZ(3) DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "restore_audit_logs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_keys" (
    "user_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "route" TEXT NOT NULL,
    "body_hash" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "status" INTEGER,
    "response" TEXT,
    "headers" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("user_id","key")
);

-- CreateTable
CREATE TABLE "rate_limits" (
    "bucket" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "window_start" TIMESTAMPTZ(3) NOT NULL,
    "count" INTEGER NOT NULL,

    CONSTRAINT "rate_limits_pkey" PRIMARY KEY ("bucket","subject")
);

-- CreateTable
CREATE TABLE "workers" (
    "id" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "pool" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "stopping" BOOLEAN NOT NULL DEFAULT false,
    "jobs" JSONB NOT NULL DEFAULT '[]',

    CONSTRAINT "workers_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "projects_name_key" ON "projects"("name");

-- CreateIndex
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

-- CreateIndex
CREATE INDEX "project_members_user_id_idx" ON "project_members"("user_id");

-- CreateIndex
CREATE INDEX "sessions_user_id_idx" ON "sessions"("user_id");

-- CreateIndex
CREATE INDEX "sessions_expires_at_idx" ON "sessions"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "api_tokens_token_hash_key" ON "api_tokens"("token_hash");

-- CreateIndex
CREATE INDEX "api_tokens_user_id_created_at_idx" ON "api_tokens"("user_id", "created_at");

-- CreateIndex
CREATE INDEX "servers_jump_id_idx" ON "servers"("jump_id");

-- CreateIndex
CREATE UNIQUE INDEX "servers_project_id_name_key" ON "servers"("project_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "services_server_id_name_key" ON "services"("server_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "destinations_name_key" ON "destinations"("name");

-- CreateIndex
CREATE INDEX "backups_project_id_created_at_idx" ON "backups"("project_id", "created_at" DESC);

-- CreateIndex
CREATE INDEX "backups_created_at_idx" ON "backups"("created_at" DESC);

-- CreateIndex
CREATE INDEX "backups_destination_id_idx" ON "backups"("destination_id");

-- CreateIndex
CREATE INDEX "backups_created_by_idx" ON "backups"("created_by");

-- CreateIndex
CREATE INDEX "artifacts_backup_id_idx" ON "artifacts"("backup_id");

-- CreateIndex
CREATE INDEX "artifacts_service_id_idx" ON "artifacts"("service_id");

-- CreateIndex
CREATE INDEX "jobs_parent_id_idx" ON "jobs"("parent_id");

-- CreateIndex
CREATE INDEX "jobs_backup_id_idx" ON "jobs"("backup_id");

-- CreateIndex
CREATE INDEX "jobs_project_id_created_at_idx" ON "jobs"("project_id", "created_at" DESC);

-- CreateIndex
CREATE INDEX "jobs_user_id_idx" ON "jobs"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "job_events_job_id_attempt_seq_key" ON "job_events"("job_id", "attempt", "seq");

-- CreateIndex
CREATE INDEX "service_leases_job_id_idx" ON "service_leases"("job_id");

-- CreateIndex
CREATE INDEX "restore_jobs_backup_id_idx" ON "restore_jobs"("backup_id");

-- CreateIndex
CREATE INDEX "restore_jobs_server_id_idx" ON "restore_jobs"("server_id");

-- CreateIndex
CREATE INDEX "restore_jobs_user_id_created_at_idx" ON "restore_jobs"("user_id", "created_at" DESC);

-- CreateIndex
CREATE INDEX "restore_audit_logs_restore_job_id_step_number_idx" ON "restore_audit_logs"("restore_job_id", "step_number");

-- CreateIndex
CREATE INDEX "idempotency_keys_created_at_idx" ON "idempotency_keys"("created_at");

-- CreateIndex
CREATE INDEX "rate_limits_window_start_idx" ON "rate_limits"("window_start");

-- CreateIndex
CREATE INDEX "workers_last_seen_at_idx" ON "workers"("last_seen_at");

-- AddForeignKey
ALTER TABLE "project_members" ADD CONSTRAINT "project_members_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_members" ADD CONSTRAINT "project_members_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "servers" ADD CONSTRAINT "servers_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "servers" ADD CONSTRAINT "servers_jump_id_fkey" FOREIGN KEY ("jump_id") REFERENCES "servers"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "services" ADD CONSTRAINT "services_server_id_fkey" FOREIGN KEY ("server_id") REFERENCES "servers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "backups" ADD CONSTRAINT "backups_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "backups" ADD CONSTRAINT "backups_created_by_fkey" FOREIGN KEY ("created_by") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "backups" ADD CONSTRAINT "backups_destination_id_fkey" FOREIGN KEY ("destination_id") REFERENCES "destinations"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "artifacts" ADD CONSTRAINT "artifacts_backup_id_fkey" FOREIGN KEY ("backup_id") REFERENCES "backups"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_backup_id_fkey" FOREIGN KEY ("backup_id") REFERENCES "backups"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_parent_id_fkey" FOREIGN KEY ("parent_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job_events" ADD CONSTRAINT "job_events_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "service_leases" ADD CONSTRAINT "service_leases_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "restore_jobs" ADD CONSTRAINT "restore_jobs_backup_id_fkey" FOREIGN KEY ("backup_id") REFERENCES "backups"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "restore_jobs" ADD CONSTRAINT "restore_jobs_server_id_fkey" FOREIGN KEY ("server_id") REFERENCES "servers"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "restore_jobs" ADD CONSTRAINT "restore_jobs_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "restore_audit_logs" ADD CONSTRAINT "restore_audit_logs_restore_job_id_fkey" FOREIGN KEY ("restore_job_id") REFERENCES "restore_jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the Prisma schema cannot say.

-- Addresses are compared without regard to case.
ALTER TABLE "users" ADD CONSTRAINT "users_email_check" CHECK ("email" = lower("email"));
ALTER TABLE "users" ADD CONSTRAINT "users_role_check" CHECK ("role" IN ('admin', 'operator', 'viewer'));
ALTER TABLE "project_members" ADD CONSTRAINT "project_members_role_check" CHECK ("role" IN ('admin', 'operator', 'viewer'));
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_role_check" CHECK ("role" IN ('admin', 'operator', 'viewer'));
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_token_hash_check" CHECK (octet_length("token_hash") = 32);

-- A server has an address, or is the worker's own host.
ALTER TABLE "servers" ADD CONSTRAINT "servers_kind_check" CHECK (
    ("kind" = 'ssh' AND "host" IS NOT NULL AND "port" IS NOT NULL AND "username" IS NOT NULL)
    OR "kind" = 'local'
);

-- One default destination at most.
CREATE UNIQUE INDEX "destinations_default_key" ON "destinations"("is_default") WHERE "is_default";

ALTER TABLE "backups" ADD CONSTRAINT "backups_status_check" CHECK (
    "status" IN ('in_progress', 'completed', 'partial', 'failed', 'cancelled', 'deleting', 'deleted')
);
-- A destination cannot go before its backups: the reference would become null, and this refuses it.
ALTER TABLE "backups" ADD CONSTRAINT "backups_destination_check" CHECK ("destination_id" IS NOT NULL OR "status" = 'deleted');
CREATE INDEX "backups_sweep_idx" ON "backups"("sweep_after") WHERE "sweep_after" IS NOT NULL AND "swept_at" IS NULL;

ALTER TABLE "jobs" ADD CONSTRAINT "jobs_state_check" CHECK (
    "state" IN ('queued', 'running', 'completed', 'partial', 'failed', 'cancelled')
);
-- A job has a time of its end exactly when it is over.
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_ended_check" CHECK (("state" IN ('queued', 'running')) = ("ended_at" IS NULL));
CREATE INDEX "jobs_open_idx" ON "jobs"("created_at") WHERE "state" IN ('queued', 'running');
CREATE INDEX "jobs_unremoved_idx" ON "jobs"("ended_at") WHERE "ended_at" IS NOT NULL AND "removed_from_queue_at" IS NULL;

ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_state_check" CHECK (
    "state" = 'in_use' OR ("state" = 'done' AND "status" IS NOT NULL)
);
