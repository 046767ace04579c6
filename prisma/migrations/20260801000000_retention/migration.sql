-- AlterTable
ALTER TABLE "projects" ADD COLUMN     "retention" JSONB;

-- AlterTable
ALTER TABLE "destinations" ADD COLUMN     "retention" JSONB;

-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "lock_reason" TEXT,
ADD COLUMN     "lock_until" TIMESTAMPTZ(3),
ADD COLUMN     "locked_at" TIMESTAMPTZ(3),
ADD COLUMN     "locked_by" TEXT,
ADD COLUMN     "series" TEXT;

-- As seriesOf in packages/db/src/series.ts has it
UPDATE "backups" AS b SET "series" = encode(sha256(convert_to(a."ids", 'UTF8')), 'hex')
FROM (
  SELECT "backup_id", string_agg("service_id"::text, ',' ORDER BY "service_id"::text COLLATE "C") AS "ids"
  FROM "artifacts" GROUP BY "backup_id"
) AS a WHERE a."backup_id" = b."id";

-- What is locked without an end is not removed, whatever a program believes
ALTER TABLE "backups" ADD CONSTRAINT "backups_locked_check" CHECK (
  "locked_at" IS NULL OR "lock_until" IS NOT NULL OR "status" IN ('completed', 'partial')
);
ALTER TABLE "backups" ADD CONSTRAINT "backups_lock_check" CHECK (
  ("locked_at" IS NULL) = ("lock_reason" IS NULL) AND ("locked_at" IS NOT NULL OR "lock_until" IS NULL)
);

CREATE INDEX "backups_series_idx" ON "backups"("project_id", "destination_id", "series", "created_at")
  WHERE "status" IN ('completed', 'partial');
CREATE INDEX "backups_deleting_idx" ON "backups"("id") WHERE "status" = 'deleting';
