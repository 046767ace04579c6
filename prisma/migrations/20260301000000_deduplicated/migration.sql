-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "deduplicated" BOOLEAN NOT NULL DEFAULT false;
