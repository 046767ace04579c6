-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "outcome" TEXT;

-- AlterTable
ALTER TABLE "destinations" ADD COLUMN     "capacity_bytes" BIGINT;

UPDATE "backups" AS b SET "outcome" = CASE
  WHEN "status" IN ('completed', 'partial', 'failed', 'cancelled') THEN "status"
  WHEN "manifest_sha256" IS NULL THEN 'failed'
  WHEN EXISTS (SELECT FROM "artifacts" AS a WHERE a."backup_id" = b."id" AND a."status" <> 'completed') THEN 'partial'
  ELSE 'completed'
END WHERE "status" <> 'in_progress';

ALTER TABLE "backups" ADD CONSTRAINT "backups_outcome_check"
  CHECK ("outcome" IN ('completed', 'partial', 'failed', 'cancelled'));
ALTER TABLE "destinations" ADD CONSTRAINT "destinations_capacity_bytes_check" CHECK ("capacity_bytes" > 0);

CREATE INDEX "backups_stored_idx" ON "backups"("destination_id") INCLUDE ("project_id", "size_bytes")
  WHERE "status" IN ('completed', 'partial', 'hidden', 'deleting');
CREATE INDEX "backups_retention_until_idx" ON "backups"("retention_until") INCLUDE ("project_id", "status")
  WHERE "retention_until" IS NOT NULL;
