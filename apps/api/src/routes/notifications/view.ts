import type { DeliveryRecord } from '@tarfleet/db';

export function deliveryView(delivery: DeliveryRecord) {
  return {
    id: delivery.id,
    project_id: delivery.projectId,
    channel: delivery.channel,
    webhook_id: delivery.webhookId,
    target: delivery.target,
    event: delivery.event,
    backup_id: delivery.backupId,
    job_id: delivery.jobId,
    state: delivery.state,
    attempts: delivery.attempts,
    last_attempt_at: delivery.lastAttemptAt?.toISOString() ?? null,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    next_attempt_at: delivery.nextAt?.toISOString() ?? null,
    created_at: delivery.createdAt.toISOString(),
    ended_at: delivery.endedAt?.toISOString() ?? null,
  };
}

export function deliveryDetails(delivery: DeliveryRecord) {
  return { ...deliveryView(delivery), payload: JSON.parse(delivery.payload) as Record<string, unknown> };
}
