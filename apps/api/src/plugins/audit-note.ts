import { type AuditEntry, createAuditId, type UserRecord } from '@tarfleet/db';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { paramOf } from './audit-project.ts';
import type { AuditRule } from './audit-rule.ts';

/** What is known so far of a request that the audit log will tell of. */
export interface AuditNote {
  readonly rule: AuditRule;
  readonly id: string;
  readonly at: Date;
  /** Where the database knows that the action begins. */
  begun: boolean;
  /** The row is written, or will be by whoever settles what never ended. */
  done: boolean;
  projectId: number | null;
  targetId: string | null;
  /** Of a login, which has no actor: whose it is, once the password was right. */
  user: Pick<UserRecord, 'id' | 'email'> | null;
  /** Field names of the body, unchecked until the request has passed its schemas. */
  fields: string[];
  details: Record<string, unknown>;
}

/** Longer values are cut: a row must stay small. */
const VALUE_LENGTH = 1000;
const VALUES = 50;

export function newNote(rule: AuditRule, params: unknown): AuditNote {
  const at = new Date();
  const targetId = rule.param === undefined ? null : paramOf(params, rule.param);
  return {
    ...{ rule, id: createAuditId(at), at, begun: false, done: false, projectId: null, targetId },
    ...{ user: null, fields: [], details: {} },
  };
}

/** Whose account a login is about. What was typed as an address is kept nowhere: people type passwords there. */
export function noteLogin(request: FastifyRequest, user: UserRecord, signedIn: boolean): void {
  const { audit } = request;
  if (!audit) return;
  audit.targetId = user.id;
  audit.details.email = user.email;
  if (signedIn) audit.user = user;
}

/** Names of what was sent, and the values that the route shows. Called when the request has passed its schemas. */
export function describe(note: AuditNote, request: FastifyRequest): void {
  const { rule, details } = note;
  if (note.fields.length > 0) details.fields = note.fields;
  const sent = { ...(request.query as object | null), ...(request.body as object | null) };
  for (const name of rule.shows ?? []) {
    const value = (sent as Record<string, unknown>)[name];
    if (value !== undefined && value !== null) details[name] = shortened(value);
  }
}

/** The row as it is now; the answer is not known yet when there is no `reply`. */
export function entryOf(
  request: FastifyRequest,
  note: AuditNote,
  answer: Pick<AuditEntry, 'outcome' | 'status' | 'errorCode'>,
): AuditEntry {
  const { rule, id, at, projectId, targetId, user, details } = note;
  const { actor } = request;
  const well = answer.outcome !== 'refused' && answer.outcome !== 'failed';
  return {
    ...{ id, at, projectId, targetId, details },
    ...answer,
    userId: user?.id ?? actor?.userId ?? null,
    userEmail: user?.email ?? actor?.email ?? null,
    via: user ? 'password' : (actor?.via ?? null),
    tokenId: actor?.tokenId ?? null,
    tokenName: actor?.tokenName ?? null,
    action: well ? rule.action : (rule.otherwise ?? rule.action),
    method: request.method,
    route: request.routeOptions.url ?? '',
    targetType: rule.target,
    requestId: request.id,
    ip: request.ip,
  };
}

/** What an answer says of the action: a job that was waited for has been noted as accepted before. */
export function answerOf(
  reply: FastifyReply,
  payload: unknown,
): Pick<AuditEntry, 'outcome' | 'status' | 'errorCode'> {
  const status = reply.statusCode;
  const outcome =
    status >= 500 ? 'failed' : status >= 400 ? 'refused' : status === 202 ? 'accepted' : 'succeeded';
  return { outcome, status, errorCode: status < 400 ? null : codeIn(payload) };
}

function codeIn(payload: unknown): string | null {
  if (typeof payload !== 'string') return null;
  try {
    const { code } = JSON.parse(payload) as { code?: unknown };
    return typeof code === 'string' ? code : null;
  } catch {
    // Every error of ours is JSON; whatever this is, its status is kept.
    return null;
  }
}

function shortened(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, VALUE_LENGTH);
  if (Array.isArray(value)) return value.slice(0, VALUES).map(shortened);
  return typeof value === 'number' || typeof value === 'boolean' ? value : null;
}
