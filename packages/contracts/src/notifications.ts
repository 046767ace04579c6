/** What is told to webhooks and mailboxes. */
import { type Static, Type } from 'typebox';

export const NOTIFICATION_EVENTS = [
  'backup.started',
  'backup.completed',
  'backup.failed',
  'backup.verified',
  'restore.started',
  'restore.completed',
  'restore.failed',
] as const;
export type NotificationEvent = (typeof NOTIFICATION_EVENTS)[number];

/** Who is told of the end of one backup or restore, beside the webhooks of its project. Kept with its record. */
export const Notification = Type.Object(
  {
    email: Type.Array(Type.String()),
    webhook: Type.Union([Type.String(), Type.Null()]),
    on_success: Type.Boolean(),
    on_failure: Type.Boolean(),
  },
  { additionalProperties: false },
);
export type Notification = Static<typeof Notification>;
