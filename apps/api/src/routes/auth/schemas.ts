import { Timestamp, Uuid } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { ROLES } from '../../plugins/actor.ts';
import { one, strict } from '../shapes.ts';

const Role = Type.Enum([...ROLES]);

export const LoginBody = strict({
  email: Type.String({ minLength: 1, maxLength: 254 }),
  password: Type.String({ minLength: 1, maxLength: 1024 }),
});

export const LoginAnswer = one(
  strict({
    token: Type.String({ description: 'A JWT for the Authorization header; the same is in the cookie' }),
    token_type: Type.Literal('Bearer'),
    expires_at: Timestamp,
    user: strict({ id: Uuid, email: Type.String(), role: Role }),
  }),
);

export const MeAnswer = one(
  strict({
    id: Uuid,
    email: Type.String(),
    role: Type.Enum([...ROLES], {
      description: 'What this request may do: the user’s role, capped by its token',
    }),
    via: Type.Enum(['session', 'cookie', 'token', 'external']),
    projects: Type.Array(strict({ id: Type.Integer(), name: Type.String(), role: Role }), {
      description: 'Those the user belongs to; administrators see every project besides',
    }),
  }),
);
