import type { UserRecord } from '@tarfleet/db';

export function userView(user: UserRecord) {
  return {
    id: user.id,
    email: user.email,
    role: user.role,
    disabled: user.disabledAt !== null,
    created_at: user.createdAt.toISOString(),
  };
}
