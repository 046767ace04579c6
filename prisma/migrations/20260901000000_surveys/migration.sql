-- CreateTable
CREATE TABLE "surveys" (
    "destination_id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "completed_at" TIMESTAMPTZ(3),
    "objects" BIGINT,
    "bytes" BIGINT,
    "uploads" BIGINT,
    "truncated" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "surveys_pkey" PRIMARY KEY ("destination_id")
);

-- CreateTable
CREATE TABLE "unknown_objects" (
    "id" UUID NOT NULL,
    "destination_id" UUID NOT NULL,
    "prefix" TEXT NOT NULL,
    "is_foreign" BOOLEAN NOT NULL,
    "reason" TEXT NOT NULL,
    "example" TEXT NOT NULL,
    "objects" BIGINT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "uploads" BIGINT NOT NULL,
    "oldest_at" TIMESTAMPTZ(3),
    "newest_at" TIMESTAMPTZ(3),
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "survey_id" UUID NOT NULL,
    "attempt" INTEGER NOT NULL,

    CONSTRAINT "unknown_objects_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "unknown_objects_destination_id_is_foreign_prefix_key" ON "unknown_objects"("destination_id", "is_foreign", "prefix");

-- CreateIndex
CREATE INDEX "unknown_objects_destination_id_first_seen_at_id_idx" ON "unknown_objects"("destination_id", "first_seen_at" DESC, "id" DESC);

-- AddForeignKey
ALTER TABLE "surveys" ADD CONSTRAINT "surveys_destination_id_fkey" FOREIGN KEY ("destination_id") REFERENCES "destinations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "unknown_objects" ADD CONSTRAINT "unknown_objects_destination_id_fkey" FOREIGN KEY ("destination_id") REFERENCES "destinations"("id") ON DELETE CASCADE ON UPDATE CASCADE;
