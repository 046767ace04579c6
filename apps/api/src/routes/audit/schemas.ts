import { AUDIT_OUTCOMES } from '@tarfleet/db';
import { type Static, Type } from 'typebox';
import { AUDIT_TARGETS } from '../../plugins/audit-rule.ts';
import { nullable, ProjectId, strict, Timestamp, Uuid } from '../shapes.ts';

const Outcome = Type.Enum([...AUDIT_OUTCOMES], {
  description:
    '`accepted`: a job was started, see details.job_id; `unknown`: the API ended before it answered, the action may or may not have been done',
});
const Text = Type.String();

export const AuditQuery = strict({
  user_id: Type.Optional(Type.String({ ...Uuid, description: 'Who acted' })),
  action: Type.Optional(
    Type.String({
      pattern: '^[a-z_.]{1,64}$',
      description: 'an action, or what it begins with, such as `restore.`',
    }),
  ),
  project_id: Type.Optional(Type.Integer({ ...ProjectId, description: 'What belongs to this project' })),
  target_type: Type.Optional(Type.Enum([...AUDIT_TARGETS])),
  target_id: Type.Optional(
    Type.String({ pattern: '^[0-9A-Fa-f-]{1,36}$', description: 'an id, that of a project as a number' }),
  ),
  from: Type.Optional(
    Type.String({
      maxLength: 40,
      description: 'Then or later: an ISO 8601 date or time, in UTC unless it names a zone',
    }),
  ),
  to: Type.Optional(
    Type.String({ maxLength: 40, description: 'Then or before; a day without a time is the whole day' }),
  ),
  outcome: Type.Optional(Outcome),
  request_id: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9._:-]{1,128}$', description: 'the `x-request-id` of an answer' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: 500, default: 50 }),
  cursor: Type.Optional(Type.String({ ...Uuid, description: '`next_cursor` of the answer before' })),
});
export type AuditQuery = Static<typeof AuditQuery>;

export const AuditAnswer = strict({
  success: Type.Literal(true),
  message: Text,
  data: Type.Array(
    strict({
      id: Uuid,
      at: Timestamp,
      user_id: nullable(Uuid),
      user_email: nullable(Type.String({ description: 'As it was then' })),
      via: nullable(
        Type.String({
          description:
            'How the user was known: session, cookie, token, external (another issuer’s JWT), password (a login); schedule: nobody, it was due; system: nobody, it was done by itself',
        }),
      ),
      token_id: nullable(Uuid),
      token_name: nullable(Text),
      action: Text,
      method: Text,
      route: Text,
      target_type: Text,
      target_id: nullable(Text),
      project_id: nullable(ProjectId),
      outcome: Outcome,
      status: nullable(Type.Integer({ description: 'HTTP status of the answer' })),
      error_code: nullable(Text),
      request_id: Text,
      ip: nullable(Type.String({ description: 'Only of one’s own actions, and for administrators' })),
      details: Type.Object({}, { additionalProperties: true }),
    }),
  ),
  count: Type.Integer({ minimum: 0, description: 'Rows in this answer' }),
  next_cursor: nullable(Uuid),
});
