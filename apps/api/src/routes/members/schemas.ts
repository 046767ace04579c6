import { Timestamp, Uuid } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { ROLES } from '../../plugins/actor.ts';
import { one, page, strict } from '../shapes.ts';

const Role = Type.Enum([...ROLES], { description: 'Inside this project; never above the user’s own role' });

export const MemberParams = strict({
  id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
  userId: Uuid,
});
export const NewMemberBody = strict({ user_id: Uuid, role: Type.Optional(Role) });
export const MemberChangesBody = strict({ role: Type.Optional(Role) });

const MemberView = strict({
  project_id: Type.Integer(),
  user_id: Uuid,
  email: Type.String(),
  role: Role,
  created_at: Timestamp,
});
export const MemberAnswer = one(MemberView);
export const MemberPage = page(MemberView);
