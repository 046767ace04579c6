-- What a backup of a database holds, as its own dump says.
ALTER TABLE "artifacts"
  ADD COLUMN "backup_method" TEXT,
  ADD COLUMN "tables_count" BIGINT,
  ADD COLUMN "records_count" BIGINT;
