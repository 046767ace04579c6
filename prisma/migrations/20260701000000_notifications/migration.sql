-- AlterTable
ALTER TABLE "backups" ADD COLUMN "notification" JSONB;

-- AlterTable
ALTER TABLE "restore_jobs" ADD COLUMN "notification" JSONB;

-- CreateTable
CREATE TABLE "webhooks" (
    "id" UUID NOT NULL,
    "project_id" INTEGER NOT NULL,
    "url" TEXT NOT NULL,
    "events" TEXT[] NOT NULL,
    "secret_ciphertext" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "disabled_reason" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "webhooks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "deliveries" (
    "id" UUID NOT NULL,
    "project_id" INTEGER NOT NULL,
    "webhook_id" UUID,
    "channel" TEXT NOT NULL,
    "target" TEXT,
    "lane" TEXT NOT NULL,
    "event" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "dedupe_key" TEXT,
    "job_id" UUID,
    "backup_id" UUID,
    "state" TEXT NOT NULL DEFAULT 'pending',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "tries" INTEGER NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(3),
    "claim" UUID,
    "claimed_until" TIMESTAMPTZ(3),
    "last_attempt_at" TIMESTAMPTZ(3),
    "last_status" INTEGER,
    "last_error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "deliveries_channel_check" CHECK ("channel" IN ('webhook', 'email')),
    CONSTRAINT "deliveries_state_check" CHECK ("state" IN ('pending', 'delivered', 'failed')),
    -- What is pending has a time for its next try, and what is not has none.
    CONSTRAINT "deliveries_next_check" CHECK (("state" = 'pending') = ("next_at" IS NOT NULL)),
    CONSTRAINT "deliveries_target_check" CHECK (("webhook_id" IS NULL) <> ("target" IS NULL))
);

-- CreateIndex
CREATE INDEX "webhooks_project_id_created_at_idx" ON "webhooks"("project_id", "created_at" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "deliveries_dedupe_key_key" ON "deliveries"("dedupe_key");

-- CreateIndex
CREATE INDEX "deliveries_webhook_id_id_idx" ON "deliveries"("webhook_id", "id" DESC);

-- CreateIndex
CREATE INDEX "deliveries_project_id_id_idx" ON "deliveries"("project_id", "id" DESC);

-- CreateIndex
CREATE INDEX "deliveries_backup_id_idx" ON "deliveries"("backup_id");

-- CreateIndex
CREATE INDEX "deliveries_ended_at_idx" ON "deliveries"("ended_at");

-- Of the few that wait: those that have ended stay for weeks.
CREATE INDEX "deliveries_due_idx" ON "deliveries"("next_at") WHERE "state" = 'pending';

-- AddForeignKey
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_webhook_id_fkey" FOREIGN KEY ("webhook_id") REFERENCES "webhooks"("id") ON DELETE CASCADE ON UPDATE CASCADE;
