import type { Database, DeliveryRecord } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Outcome } from './outcome.ts';

export interface DeliveryMetrics {
  register(registry: Registry): void;
  tried(delivery: Pick<DeliveryRecord, 'channel'>, outcome: Outcome): void;
}

/** Figures of deliveries: tries of this process by what they came to, and how many are due now. */
export function createDeliveryMetrics(deps: {
  db: Pick<Database, 'deliveries'>;
  logger: Logger;
}): DeliveryMetrics {
  const tries = new Counter({
    name: 'tarfleet_delivery_tries_total',
    help: 'Tries at deliveries to webhooks and mailboxes, by this process',
    labelNames: ['channel', 'outcome'],
    registers: [],
  });
  const due = new Gauge({
    name: 'tarfleet_deliveries_due',
    help: 'Deliveries that are due and not delivered',
    registers: [],
    async collect() {
      try {
        this.set(await deps.db.deliveries.countDue());
      } catch (error) {
        // The other figures are still worth having; that the database is down, /readyz says.
        deps.logger.warn({ err: error }, 'number of due deliveries unknown');
        this.reset();
      }
    },
  });
  return {
    register(registry) {
      registry.registerMetric(tries);
      registry.registerMetric(due);
    },
    tried: ({ channel }, { kind }) => tries.inc({ channel, outcome: kind }),
  };
}
