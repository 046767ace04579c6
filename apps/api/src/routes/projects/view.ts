import type { ProjectRecord } from '@tarfleet/db';

export function projectView({ id, name, createdAt }: ProjectRecord) {
  return { id, name, created_at: createdAt.toISOString() };
}
