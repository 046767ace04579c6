import { Timestamp, Uuid } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { ROLES } from '../../plugins/actor.ts';
import { Email, one, page, strict } from '../shapes.ts';

const Role = Type.Enum([...ROLES]);
const Password = Type.String({ minLength: 10, maxLength: 1024 });

export const NewUserBody = strict({
  email: Email,
  password: Password,
  role: Type.Enum([...ROLES], { default: 'viewer' }),
});

export const UserChangesBody = strict({
  email: Type.Optional(Email),
  role: Type.Optional(Role),
  disabled: Type.Optional(
    Type.Boolean({ description: 'A disabled user cannot sign in; sessions and tokens are revoked at once' }),
  ),
  password: Type.Optional(Password),
  current_password: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1024, description: 'With `password`, when it is your own' }),
  ),
});

const UserView = strict({
  id: Uuid,
  email: Type.String(),
  role: Role,
  disabled: Type.Boolean(),
  created_at: Timestamp,
});
export const UserAnswer = one(UserView);
export const UserPage = page(UserView);
