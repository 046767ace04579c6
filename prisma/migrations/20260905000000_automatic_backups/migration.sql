-- Whether people asked for a backup or something did it by itself.
ALTER TABLE "backups" ADD COLUMN "automatic" BOOLEAN NOT NULL DEFAULT false;
UPDATE "backups" SET "automatic" = true WHERE "schedule_id" IS NOT NULL;
