-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "schedule_id" UUID;

-- CreateTable
CREATE TABLE "schedules" (
    "id" UUID NOT NULL,
    "project_id" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "cron" TEXT NOT NULL,
    "time_zone" TEXT NOT NULL DEFAULT 'UTC',
    "catch_up" BOOLEAN NOT NULL DEFAULT true,
    "max_lateness_seconds" INTEGER NOT NULL,
    "components" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "services" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "server_id" UUID,
    "destination_id" UUID,
    "retention_days" INTEGER NOT NULL,
    "encrypt" BOOLEAN NOT NULL DEFAULT true,
    "verify" BOOLEAN NOT NULL DEFAULT true,
    "compress" BOOLEAN NOT NULL DEFAULT true,
    "compression_level" INTEGER NOT NULL,
    "deduplicate" BOOLEAN NOT NULL DEFAULT false,
    "notification" JSONB,
    "next_at" TIMESTAMPTZ(3),
    "active_since" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "schedules_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "schedule_runs" (
    "id" UUID NOT NULL,
    "schedule_id" UUID NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "status" TEXT NOT NULL,
    "backup_id" UUID,
    "missed" INTEGER NOT NULL DEFAULT 0,
    "missed_since" TIMESTAMPTZ(3),
    "error_code" TEXT,
    "error_message" TEXT,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "schedule_runs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "schedule_alerts" (
    "id" UUID NOT NULL,
    "schedule_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "message" TEXT NOT NULL,
    "raised_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),

    CONSTRAINT "schedule_alerts_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "schedules_next_at_idx" ON "schedules"("next_at");

-- CreateIndex
CREATE UNIQUE INDEX "schedules_project_id_name_key" ON "schedules"("project_id", "name");

-- CreateIndex
CREATE INDEX "schedule_runs_schedule_id_status_due_at_idx" ON "schedule_runs"("schedule_id", "status", "due_at");

-- CreateIndex
CREATE INDEX "schedule_runs_backup_id_idx" ON "schedule_runs"("backup_id");

-- CreateIndex
CREATE UNIQUE INDEX "schedule_runs_schedule_id_due_at_key" ON "schedule_runs"("schedule_id", "due_at");

-- CreateIndex
CREATE UNIQUE INDEX "schedule_alerts_schedule_id_kind_due_at_key" ON "schedule_alerts"("schedule_id", "kind", "due_at");

-- AddForeignKey
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "schedule_runs" ADD CONSTRAINT "schedule_runs_schedule_id_fkey" FOREIGN KEY ("schedule_id") REFERENCES "schedules"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "schedule_alerts" ADD CONSTRAINT "schedule_alerts_schedule_id_fkey" FOREIGN KEY ("schedule_id") REFERENCES "schedules"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the Prisma schema cannot say.

-- A schedule that is enabled is due at some time, and one that is paused at none.
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_next_at_check" CHECK ("enabled" = ("next_at" IS NOT NULL));
ALTER TABLE "schedule_runs" ADD CONSTRAINT "schedule_runs_status_check" CHECK (
    "status" IN ('in_progress', 'completed', 'partial', 'failed', 'cancelled', 'skipped', 'missed')
);
-- What has not ended is a backup.
ALTER TABLE "schedule_runs" ADD CONSTRAINT "schedule_runs_ended_check" CHECK (
    CASE "status" WHEN 'in_progress' THEN "ended_at" IS NULL AND "backup_id" IS NOT NULL ELSE "ended_at" IS NOT NULL END
);
ALTER TABLE "schedule_alerts" ADD CONSTRAINT "schedule_alerts_kind_check" CHECK ("kind" IN ('late', 'no_success'));
