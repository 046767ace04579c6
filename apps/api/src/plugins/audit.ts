import type { Database, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from '../api-type.ts';
import type { Access } from './access.ts';
import { type AuditNote, answerOf, describe, entryOf, newNote } from './audit-note.ts';
import { type AuditReads, projectOf, projectOfPath, toProjectId } from './audit-project.ts';

const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

export interface AuditOptions {
  db: AuditReads & Pick<Database, 'auditLog'>;
  access: Access;
}

/**
 * Writes one row for each request to a route whose config says `audit`, and sees to it that every route that changes
 * something does. What a handler is about to do is noted in the database before, else it is not done; so whatever
 * becomes of the process, a row tells of it. A refusal before that has a row too, written with the answer.
 */
export function addAudit(app: Api, { db, access }: AuditOptions): void {
  app.decorateRequest('audit', null);

  app.addHook('onRoute', ({ method, url, config }) => {
    const changes = [method].flat().some((one) => CHANGING.has(one));
    if (changes && !config?.audit)
      throw new Error(`${String(method)} ${url} needs an audit rule in its config`);
  });

  app.addHook('onRequest', async (request) => {
    const rule = request.routeOptions.config.audit;
    // The answer to a HEAD gives nothing out.
    if (rule && !request.is404 && request.method !== 'HEAD') request.audit = newNote(rule, request.params);
  });

  app.addHook('preValidation', async (request) => {
    if (request.audit && typeof request.body === 'object')
      request.audit.fields = Object.keys(request.body ?? {});
  });

  app.addHook('preHandler', async (request) => {
    const note = request.audit;
    if (!note) return;
    describe(note, request);
    note.projectId = await visibleProject(request, note);
    try {
      await db.auditLog.begin(entryOf(request, note, { outcome: 'unknown', status: null, errorCode: null }));
      note.begun = true;
    } catch (error) {
      const message = 'The audit log cannot be written, so nothing was done. Try again in a moment.';
      throw new AppError('UNAVAILABLE', message, { retryable: true, cause: error });
    }
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const note = request.audit;
    if (!note || note.done) return;
    note.done = true;
    try {
      await finish(request, reply, note, payload);
    } catch (error) {
      // What was done is done, and its answer must go out: the row comes as one of unknown outcome.
      const entry = entryOf(request, note, answerOf(reply, payload));
      request.log.error({ err: error, begun: note.begun, entry }, 'audit row not written');
    }
  });

  async function finish(
    request: FastifyRequest,
    reply: FastifyReply,
    note: AuditNote,
    payload: unknown,
  ): Promise<void> {
    const answer = answerOf(reply, payload);
    const well = answer.status !== null && answer.status < 400;
    if (reply.hasHeader('idempotency-replayed')) note.details.replayed = true;
    if (well) noteLocation(note, reply);
    if (note.projectId === null && (!note.begun || well))
      note.projectId = await visibleProject(request, note);
    const entry = entryOf(request, note, answer);
    if (note.begun) await db.auditLog.end(entry);
    else await db.auditLog.add(entry);
  }

  /** Only where the actor sees it: their own rows must not tell them whose something is. */
  async function visibleProject(request: FastifyRequest, note: AuditNote): Promise<number | null> {
    const { actor } = request;
    if (!actor) return null;
    const { rule, targetId } = note;
    const made = rule.param === undefined && rule.within === undefined;
    const found = made
      ? await projectOf(db, rule.target, targetId)
      : await projectOfPath(db, rule, request.params);
    const id = found ?? (made ? sentProject(request) : null);
    return id !== null && (await access.roleIn(actor, id)) !== null ? id : null;
  }
}

/**
 * The action is accepted as this job: the row is part of the transaction that stores it, so that neither is there
 * without the other, and no answer that is waited for delays it.
 */
export async function auditAccepted(
  tx: Pick<Repositories, 'auditLog'>,
  request: FastifyRequest,
  job: { id: string; projectId?: number },
): Promise<void> {
  const note = request.audit;
  if (!note?.begun) return;
  // A copy: the transaction may be undone, and then the request goes on to another end.
  const accepted = {
    ...note,
    targetId: note.targetId ?? job.id,
    projectId: job.projectId ?? note.projectId,
    details: { ...note.details, job_id: job.id },
  };
  await tx.auditLog.end(entryOf(request, accepted, { outcome: 'accepted', status: 202, errorCode: null }));
}

/** What a request has made is named by its Location: a thing, or the job that does the work. */
function noteLocation(note: AuditNote, reply: FastifyReply): void {
  const location = reply.getHeader('location');
  const [, job, id] = /^\/api\/(?:(jobs)|[^?]+)\/([0-9a-f-]+)$/i.exec(String(location ?? '')) ?? [];
  if (id === undefined) return;
  if (job !== undefined) note.details.job_id = id;
  else note.targetId ??= id;
}

function sentProject(request: FastifyRequest): number | null {
  const sent = { ...(request.query as object | null), ...(request.body as object | null) };
  return toProjectId((sent as { project_id?: unknown }).project_id);
}
