-- A backup's further destinations: a row from the moment on at which a copy is wanted there, until its objects are gone.
CREATE TABLE "backup_copies" (
    "backup_id" UUID NOT NULL,
    "destination_id" UUID NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "job_id" UUID,
    "error_code" TEXT,
    "error_message" TEXT,
    "objects" BIGINT,
    "bytes" BIGINT,
    "verified_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "begun_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "backup_copies_pkey" PRIMARY KEY ("backup_id", "destination_id"),
    CONSTRAINT "backup_copies_status_check" CHECK ("status" IN ('pending', 'copying', 'completed', 'failed'))
);

CREATE INDEX "backup_copies_destination_id_idx" ON "backup_copies"("destination_id");

-- What the reconciler looks for.
CREATE INDEX "backup_copies_status_created_at_idx" ON "backup_copies"("status", "created_at");

ALTER TABLE "backup_copies" ADD CONSTRAINT "backup_copies_backup_id_fkey"
    FOREIGN KEY ("backup_id") REFERENCES "backups"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "backup_copies" ADD CONSTRAINT "backup_copies_destination_id_fkey"
    FOREIGN KEY ("destination_id") REFERENCES "destinations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Where schedules want copies of their backups. Ids, not references: as with what else schedules name.
ALTER TABLE "schedules" ADD COLUMN "copy_to" UUID[] NOT NULL DEFAULT ARRAY[]::UUID[];
