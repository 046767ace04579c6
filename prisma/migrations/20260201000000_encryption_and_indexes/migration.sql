-- AlterTable
ALTER TABLE "backups" ADD COLUMN     "encryption_keys" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- AlterTable
ALTER TABLE "workers" ADD COLUMN     "keys" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "primary_key" TEXT;

-- AlterTable
ALTER TABLE "artifacts" ADD COLUMN     "chain_begun_at" TIMESTAMPTZ(3),
ADD COLUMN     "exclude" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "index_bytes" BIGINT,
ADD COLUMN     "index_key" TEXT,
ADD COLUMN     "parent_id" UUID;

-- CreateTable
CREATE TABLE "artifact_refs" (
    "dependent_id" UUID NOT NULL,
    "ancestor_id" UUID NOT NULL,

    CONSTRAINT "artifact_refs_pkey" PRIMARY KEY ("dependent_id","ancestor_id")
);

-- CreateIndex
CREATE INDEX "artifact_refs_ancestor_id_idx" ON "artifact_refs"("ancestor_id");

-- AddForeignKey
ALTER TABLE "artifact_refs" ADD CONSTRAINT "artifact_refs_dependent_id_fkey" FOREIGN KEY ("dependent_id") REFERENCES "artifacts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "artifact_refs" ADD CONSTRAINT "artifact_refs_ancestor_id_fkey" FOREIGN KEY ("ancestor_id") REFERENCES "artifacts"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- A backup that was deleted while later ones need what it stored.
ALTER TABLE "backups" DROP CONSTRAINT "backups_status_check";
ALTER TABLE "backups" ADD CONSTRAINT "backups_status_check" CHECK (
    "status" IN ('in_progress', 'completed', 'partial', 'failed', 'cancelled', 'deleting', 'hidden', 'deleted')
);
