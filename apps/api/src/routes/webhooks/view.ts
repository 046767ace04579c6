import type { WebhookRecord } from '@tarfleet/db';

/** Everything but the secret, which is shown once: when it was made. */
export function webhookView(webhook: WebhookRecord) {
  return {
    id: webhook.id,
    project_id: webhook.projectId,
    url: webhook.url,
    events: webhook.events,
    enabled: webhook.enabled,
    disabled_reason: webhook.disabledReason,
    created_at: webhook.createdAt.toISOString(),
    updated_at: webhook.updatedAt.toISOString(),
  };
}
