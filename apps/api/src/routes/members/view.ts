import type { MemberRecord } from '@tarfleet/db';

export function memberView(member: MemberRecord) {
  return {
    project_id: member.projectId,
    user_id: member.userId,
    email: member.email,
    role: member.role,
    created_at: member.createdAt.toISOString(),
  };
}
