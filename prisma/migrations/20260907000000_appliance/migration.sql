-- AlterTable
ALTER TABLE "schedules" ADD COLUMN     "anchor_at" TIMESTAMPTZ(3),
ADD COLUMN     "every" TEXT,
ALTER COLUMN "cron" DROP NOT NULL;

-- AlterTable
ALTER TABLE "schedule_runs" ADD COLUMN     "triggered" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "after_any_end" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "after_id" UUID;

-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "occasion" TEXT;

-- AlterTable
ALTER TABLE "destinations" ADD COLUMN     "enabled" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN     "test_error" TEXT,
ADD COLUMN     "tested_at" TIMESTAMPTZ(3);

-- CreateTable
CREATE TABLE "api_processes" (
    "id" UUID NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "api_processes_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "jobs_after_id_idx" ON "jobs"("after_id");

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_after_id_fkey" FOREIGN KEY ("after_id") REFERENCES "jobs"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What the Prisma schema cannot say.

-- By cron, by a fixed distance from its anchor, or (neither) by hand alone.
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_kind_check" CHECK ("cron" IS NULL OR "every" IS NULL);
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_anchor_check" CHECK (("every" IS NULL) = ("anchor_at" IS NULL));
-- One that is enabled is due at some time, unless it is due by hand alone, and one that is paused at none.
ALTER TABLE "schedules" DROP CONSTRAINT "schedules_next_at_check";
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_next_at_check" CHECK (
    ("enabled" AND ("cron" IS NOT NULL OR "every" IS NOT NULL)) = ("next_at" IS NOT NULL)
);
ALTER TABLE "backups" ADD CONSTRAINT "backups_occasion_check" CHECK ("occasion" IN ('emergency', 'startup'));
