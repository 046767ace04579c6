import { createDatabase } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { createQueueEvents, createQueueProducer } from '@tarfleet/queue';
import { createPlanSigner, createSecretBox, parseApiKeys, parsePools } from '@tarfleet/vault';
import { collectDefaultMetrics } from 'prom-client';
import { buildApp } from './app.ts';
import type { CancelOptions } from './cancel.ts';
import { createDispatcher } from './dispatcher.ts';
import { createDownloads } from './downloads/downloads.ts';
import type { ApiConfig } from './env.ts';
import { createJobStarter } from './job-starter.ts';
import { createLiveHub } from './live/hub.ts';
import { createDeliveryMetrics } from './notifier/metrics.ts';
import { startNotifier } from './notifier/start-notifier.ts';
import type { PlanKeys } from './planner/targets.ts';
import { createEndedHook } from './recorder/after-end.ts';
import { startCopies } from './recorder/copies.ts';
import { startReconciler } from './recorder/reconcile.ts';
import { createRecorder } from './recorder/record.ts';
import { createUnknownMetrics } from './recorder/unknown-metrics.ts';
import { createRunMetrics } from './run-metrics.ts';
import { createScheduleMetrics } from './scheduler/schedule-metrics.ts';
import { startScheduler } from './scheduler/scheduler.ts';
import { startStartupBackup } from './startup-backup.ts';

export interface RunningApi {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  url: string;
  /** Answers what is in hand, then ends every connection. */
  stop(): Promise<void>;
}

/** How long a test of a destination waits for a worker, in milliseconds. */
const TEST_WAITS_MS = 60_000;
/** Between two looks for backups that schedules owe, in milliseconds. */
const WATCH_EVERY_MS = 30_000;

/** Assembles the API of one process (routes, recorder, reconciler, scheduler) and listens. */
export async function startApi(config: ApiConfig, logger: Logger): Promise<RunningApi> {
  const apiKeys = parseApiKeys(config.API_KEYS);
  const pools = new Map(
    Object.entries(parsePools(config.POOLS).pools).map(([name, { current }]) => [name, current]),
  );
  const keys: PlanKeys = { box: createSecretBox(apiKeys.box), pools };
  const [signingKey] = apiKeys.signing;
  if (!signingKey) throw new TypeError('parseApiKeys gives at least one signing key');

  const db = createDatabase({ url: config.DATABASE_URL, logger });
  const queueOptions = { url: config.QUEUE_URL, logger };
  const queue = await createQueueProducer(queueOptions);
  const events = await createQueueEvents(queueOptions);
  const hub = createLiveHub({ databaseUrl: config.DATABASE_URL, logger });
  const dispatcher = createDispatcher({ db, queue, signer: createPlanSigner(signingKey), logger });
  const metrics = createRunMetrics({ db, queue, pools: [...pools.keys()], logger });
  const deliveryMetrics = createDeliveryMetrics({ db, logger });
  const jwtSecret = Buffer.from(apiKeys.jwtSecret, 'base64url');
  const onEnded = createEndedHook({
    ...{ db, queue, logger, metrics, send: (job) => dispatcher.send(job) },
    startCopies: () => startCopies({ db, dispatcher, keys, logger }),
  });
  const sweepGraceMs = config.SWEEP_GRACE_MS;
  const cancel: CancelOptions = { db, queue, logger, sweepGraceMs, onEnded };
  const downloads = createDownloads({ db, logger, most: config.DOWNLOADS_AT_ONCE });
  const clock = (): Promise<Date> => db.schedules.clock();
  const scheduleMetrics = createScheduleMetrics({ db, logger });
  const unknownMetrics = createUnknownMetrics({ db, logger });
  const app = await buildApp({
    config,
    logger,
    db,
    clock,
    queue,
    vault: { ...keys, jwtSecret },
    jobs: createJobStarter({ db, keys, dispatcher, sweepGraceMs }),
    dispatcher,
    hub,
    cancel,
    downloads,
    addMetrics: (registry) => {
      collectDefaultMetrics({ register: registry });
      metrics.register(registry);
      deliveryMetrics.register(registry);
      scheduleMetrics.register(registry);
      unknownMetrics.register(registry);
    },
  });

  const recorder = createRecorder({ db, logger, sweepGraceMs, onEnded });
  await events.onMessage(async (message) => {
    if (message.type === 'events') await recorder.record(message);
    else await db.workers.record(message);
  });
  await events.onProgress([...pools.keys()], (jobId, progress) => void recorder.progress(jobId, progress));
  const reconciler = startReconciler({
    ...{ db, queue, dispatcher, keys, logger, sweepGraceMs, onEnded },
    everyMs: config.RECONCILE_EVERY_MS,
    patienceMs: config.RECONCILE_PATIENCE_MS,
    testWaitsMs: TEST_WAITS_MS,
    retentionEveryMs: config.RETENTION_EVERY_MS,
    surveyEveryMs: config.SURVEY_EVERY_MS,
  });
  const notifier = startNotifier({
    ...{ config, db, logger, box: keys.box, jwtSecret, metrics: deliveryMetrics },
  });
  const scheduler = startScheduler({
    ...{ db, keys, dispatcher, logger, clock, everyMs: config.SCHEDULE_EVERY_MS },
    watchEveryMs: WATCH_EVERY_MS,
  });
  const url = await app.listen({ host: config.HOST, port: config.PORT });
  const startup = config.BACKUP_ON_STARTUP
    ? startStartupBackup({ db, keys, dispatcher, config, logger })
    : undefined;
  logger.info({ url }, 'api ready');
  return {
    url,
    async stop() {
      // Long answers end first, or the server would wait for them.
      await hub.close();
      await downloads.close(config.DOWNLOAD_GRACE_MS);
      await app.close();
      await startup?.stop();
      await scheduler.stop();
      await reconciler.stop();
      await notifier.stop();
      await events.close();
      await queue.close();
      await db.close();
    },
  };
}
