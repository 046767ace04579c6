-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "send_after" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "restore_jobs" ADD COLUMN     "forget_after" TIMESTAMPTZ(3),
ADD COLUMN     "forget_tries" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "rollback_expires_at" TIMESTAMPTZ(3),
ADD COLUMN     "rollback_job_id" UUID;

CREATE INDEX "restore_jobs_forget_idx" ON "restore_jobs"("forget_after") WHERE "forget_after" IS NOT NULL;
