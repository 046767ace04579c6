import { Timestamp, Uuid } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { ROLES } from '../../plugins/actor.ts';
import { Name, nullable, one, page, strict } from '../shapes.ts';

export const NewTokenBody = strict({
  name: Name,
  role: Type.Optional(
    Type.Enum([...ROLES], { description: 'The most that the token may do; never more than its user' }),
  ),
  expires_in_days: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 3650, description: 'Left out, it stays valid until it is deleted' }),
  ),
});

const fields = {
  id: Uuid,
  name: Type.String(),
  prefix: Type.String({ description: 'The token’s first characters' }),
  role: nullable(Type.Enum([...ROLES])),
  expires_at: nullable(Timestamp),
  last_used_at: nullable(Timestamp),
  created_at: Timestamp,
  revoked_at: nullable(Timestamp),
};

const TokenView = strict(fields);
export const NewTokenAnswer = one(
  strict({ ...fields, token: Type.String({ description: 'Shown this once' }) }),
);
export const TokenAnswer = one(TokenView);
export const TokenPage = page(TokenView);
