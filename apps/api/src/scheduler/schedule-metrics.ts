import type { Database, ScheduleAlert, ScheduleRecord, ScheduleStanding } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { Gauge, type Registry } from 'prom-client';

interface Figures {
  schedules: ScheduleRecord[];
  standings: Map<string, ScheduleStanding>;
  alerts: ScheduleAlert[];
}

/** Figures of schedules, read when they are asked for, so that every process shows the same. */
export function createScheduleMetrics(deps: {
  db: Pick<Database, 'schedules' | 'scheduleRuns' | 'scheduleAlerts'>;
  logger: Logger;
}): { register(registry: Registry): void } {
  const { db, logger } = deps;
  const read = async (): Promise<Figures> => {
    try {
      const schedules = await db.schedules.enabled();
      const ids = schedules.map(({ id }) => id);
      const standings = await db.scheduleRuns.standings(ids, await db.schedules.clock());
      return { schedules, standings, alerts: await db.scheduleAlerts.open(ids) };
    } catch (error) {
      // The other figures are still worth having; that the database is down, /readyz says.
      logger.warn({ err: error }, 'schedules unknown');
      return { schedules: [], standings: new Map(), alerts: [] };
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

  const all = [
    new Gauge({
      name: 'tarfleet_schedule_next_run_timestamp_seconds',
      help: 'When a schedule is due next',
      labelNames: ['schedule'],
      registers: [],
      async collect() {
        const { schedules } = await readOnce();
        this.reset();
        for (const { id, nextAt } of schedules)
          if (nextAt) this.set({ schedule: id }, nextAt.getTime() / 1000);
      },
    }),
    new Gauge({
      name: 'tarfleet_schedule_last_success_timestamp_seconds',
      help: 'When the newest backup of a schedule was due that is complete',
      labelNames: ['schedule'],
      registers: [],
      async collect() {
        const { standings } = await readOnce();
        this.reset();
        for (const [id, { lastSuccessAt }] of standings) {
          if (lastSuccessAt) this.set({ schedule: id }, lastSuccessAt.getTime() / 1000);
        }
      },
    }),
    new Gauge({
      name: 'tarfleet_schedule_alerts',
      help: 'Backups of a schedule that should be there and are not: late, or without success',
      labelNames: ['schedule', 'kind'],
      registers: [],
      async collect() {
        const { schedules, alerts } = await readOnce();
        this.reset();
        for (const { id } of schedules) {
          for (const kind of ['late', 'no_success']) this.set({ schedule: id, kind }, 0);
        }
        for (const { scheduleId, kind } of alerts) this.inc({ schedule: scheduleId, kind });
      },
    }),
  ];
  return {
    register(registry) {
      for (const metric of all) registry.registerMetric(metric);
    },
  };
}
