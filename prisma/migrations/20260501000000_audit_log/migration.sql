-- CreateTable
CREATE TABLE "audit_log" (
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "user_id" UUID,
    "user_email" TEXT,
    "via" TEXT,
    "token_id" UUID,
    "token_name" TEXT,
    -- In the order of bytes, so that an index finds what begins with something.
    "action" TEXT COLLATE "C" NOT NULL,
    "method" TEXT NOT NULL,
    "route" TEXT NOT NULL,
    "target_type" TEXT NOT NULL,
    "target_id" TEXT,
    "project_id" INTEGER,
    "outcome" TEXT NOT NULL,
    "status" INTEGER,
    "error_code" TEXT,
    "request_id" TEXT NOT NULL,
    "ip" TEXT NOT NULL,
    "details" JSONB NOT NULL,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_pending" (
    "id" UUID NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "entry" JSONB NOT NULL,

    CONSTRAINT "audit_pending_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "audit_log_user_id_id_idx" ON "audit_log"("user_id", "id");

-- CreateIndex
CREATE INDEX "audit_log_project_id_id_idx" ON "audit_log"("project_id", "id");

-- CreateIndex
CREATE INDEX "audit_log_target_type_id_idx" ON "audit_log"("target_type", "id");

-- CreateIndex
CREATE INDEX "audit_log_target_id_id_idx" ON "audit_log"("target_id", "id");

-- CreateIndex
CREATE INDEX "audit_log_action_id_idx" ON "audit_log"("action", "id");

-- CreateIndex
CREATE INDEX "audit_log_outcome_id_idx" ON "audit_log"("outcome", "id");

-- CreateIndex
CREATE INDEX "audit_log_request_id_idx" ON "audit_log"("request_id");

-- Rows are only added. For each statement, so that one that finds no row is refused too. The body's semicolons are
-- escaped: Prisma's engine, where it runs over a driver adapter, splits this file at each one.
CREATE FUNCTION "refuse_audit_change"() RETURNS trigger LANGUAGE plpgsql AS E'
BEGIN
    RAISE EXCEPTION USING ERRCODE = ''insufficient_privilege'', MESSAGE = ''audit_log is append-only: '' || TG_OP || '' refused''\x3b
END\x3b
';

CREATE TRIGGER "audit_log_append_only"
    BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_log"
    FOR EACH STATEMENT EXECUTE FUNCTION "refuse_audit_change"();

-- In sessions with session_replication_role = replica as well.
ALTER TABLE "audit_log" ENABLE ALWAYS TRIGGER "audit_log_append_only";
