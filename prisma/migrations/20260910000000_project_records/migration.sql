-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "records" JSONB;

-- CreateTable
CREATE TABLE "staged_records" (
    "job_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "line" TEXT NOT NULL,

    CONSTRAINT "staged_records_pkey" PRIMARY KEY ("job_id","seq")
);

-- CreateTable
CREATE TABLE "restored_records" (
    "id" BIGSERIAL NOT NULL,
    "project_id" INTEGER NOT NULL,
    "restore_job_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "restored_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "restored_records_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "restored_records_project_id_kind_id_idx" ON "restored_records"("project_id", "kind", "id");

-- AddForeignKey
ALTER TABLE "staged_records" ADD CONSTRAINT "staged_records_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "restored_records" ADD CONSTRAINT "restored_records_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the Prisma schema cannot say.

-- Nothing that decides what somebody may do ever comes from here: it is read by people alone.
ALTER TABLE "restored_records" ADD CONSTRAINT "restored_records_kind_check" CHECK (
    "kind" IN ('members', 'api_keys', 'audit_logs')
);
