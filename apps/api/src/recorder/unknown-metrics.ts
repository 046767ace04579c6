import type { Database } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { Gauge, type Registry } from 'prom-client';

type Figures = Awaited<ReturnType<Database['surveys']['totals']>>;

/** What lies in destinations and belongs to no backup, as the last surveys found it: the same from every process. */
export function createUnknownMetrics(deps: { db: Pick<Database, 'surveys'>; logger: Logger }): {
  register(registry: Registry): void;
} {
  const read = async (): Promise<Figures> => {
    try {
      return await deps.db.surveys.totals();
    } catch (error) {
      // The other figures are still worth having; that the database is down, /readyz says.
      deps.logger.warn({ err: error }, 'unknown objects unknown');
      return [];
    }
  };
  /** The gauges of one answer are collected at once: they share one look. */
  let reading: Promise<Figures> | undefined;
  const readOnce = (): Promise<Figures> => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  const gauge = (name: string, help: string, of: (one: Figures[number]) => number | null): Gauge =>
    new Gauge({
      ...{ name: `tarfleet_${name}`, help, labelNames: ['destination'], registers: [] },
      async collect() {
        const figures = await readOnce();
        this.reset();
        for (const one of figures) {
          const value = of(one);
          if (value !== null) this.set({ destination: one.destinationId }, value);
        }
      },
    });
  const all = [
    gauge('unknown_objects', 'Objects in a destination that belong to no backup', (one) => one.objects),
    gauge('unknown_bytes', 'Bytes of objects in a destination that belong to no backup', (one) => one.bytes),
    gauge(
      'survey_completed_timestamp_seconds',
      'When a destination was last looked through to its end',
      ({ completedAt }) => completedAt && completedAt.getTime() / 1000,
    ),
  ];
  return {
    register(registry) {
      for (const metric of all) registry.registerMetric(metric);
    },
  };
}
