-- AlterTable
ALTER TABLE "schedules" ADD COLUMN     "retention" JSONB,
ALTER COLUMN "retention_days" DROP NOT NULL;
