-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "chosen" BOOLEAN NOT NULL DEFAULT false;

-- CreateTable
CREATE TABLE "backup_holds" (
    "id" UUID NOT NULL,
    "backup_id" UUID NOT NULL,
    "taken_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "backup_holds_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "restore_validations" (
    "job_id" UUID NOT NULL,
    "components" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "restore_validations_pkey" PRIMARY KEY ("job_id")
);

-- CreateIndex
CREATE INDEX "backup_holds_backup_id_idx" ON "backup_holds"("backup_id");

-- CreateIndex
CREATE INDEX "restore_validations_created_at_idx" ON "restore_validations"("created_at" DESC);

-- CreateIndex
CREATE INDEX "restore_jobs_created_at_idx" ON "restore_jobs"("created_at" DESC);

-- AddForeignKey
ALTER TABLE "backup_holds" ADD CONSTRAINT "backup_holds_backup_id_fkey" FOREIGN KEY ("backup_id") REFERENCES "backups"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A run's records are stored before its jobs: looked at when the transaction ends
ALTER TABLE "restore_validations" ADD CONSTRAINT "restore_validations_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED;

-- All that a summary of the backups that are there reads
CREATE INDEX "backups_summary_idx" ON "backups"("project_id", "status") INCLUDE ("created_at", "size_bytes", "chosen")
  WHERE "status" NOT IN ('hidden', 'deleted');
CREATE INDEX "restore_audit_logs_validated_idx" ON "restore_audit_logs"("restore_job_id")
  WHERE "step_name" = 'verify_integrity' AND "status" = 'completed';
