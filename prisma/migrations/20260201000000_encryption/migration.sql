-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "encryption_keys" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- AlterTable
ALTER TABLE "workers" ADD COLUMN     "keys" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "primary_key" TEXT;
