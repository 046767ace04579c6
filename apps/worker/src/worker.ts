import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { openCodec } from '@tarfleet/archive';
import { JOB_KINDS, type JobKind } from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import { type Consumer, createQueueWorker } from '@tarfleet/queue';
import { createPlanReader, parsePoolKeys } from '@tarfleet/vault';
import { createDeps } from './deps.ts';
import type { WorkerEnv } from './env.ts';
import { startHeartbeat } from './heartbeat.ts';
import { openKeyring } from './keyring.ts';
import { createProcessors } from './processors/index.ts';
import { createRunJob } from './run-job.ts';

/** Jobs of one kind at once in one process; artifacts go by CONCURRENCY. The rest are short or wait on the network. */
const CONCURRENCY: Record<Exclude<JobKind, 'artifact'>, number> = {
  backup: 8,
  verify: 2,
  restore: 2,
  rollback: 2,
  preview: 2,
  delete: 2,
  sweep: 1,
  'server-test': 4,
  'destination-test': 4,
  reseal: 4,
  rewrap: 2,
  survey: 1,
  copy: 2,
};

export interface RunningWorker {
  id: string;
  /** Hands unfinished jobs back to the queue and closes every connection. */
  stop(): Promise<void>;
}

/** Assembles a worker and starts taking jobs of its pool. */
export async function startWorker(env: WorkerEnv, logger: Logger): Promise<RunningWorker> {
  const keys = parsePoolKeys(env.POOL_KEYS);
  if (keys.pool !== env.POOL) {
    throw new AppError('POOL_NOT_FOUND', `The key file is for pool ${keys.pool}, but POOL is ${env.POOL}.`);
  }
  const id = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const log = logger.child({ workerId: id, pool: env.POOL });
  const queue = await createQueueWorker({
    url: env.QUEUE_URL,
    logger: log,
    settings: { lockMs: env.LOCK_MS, stalledCheckMs: env.STALLED_CHECK_MS },
  });
  const keyring = openKeyring(env);
  const codec = await openCodec();
  const cores = availableParallelism();
  if (env.UV_THREADPOOL_SIZE < cores) {
    log.warn(
      { threads: env.UV_THREADPOOL_SIZE, cores },
      'fewer threads than cores: set UV_THREADPOOL_SIZE to let all of them compress',
    );
  }
  const deps = createDeps({
    logger: log,
    keys,
    keyring,
    codec,
    localRoots: env.LOCAL_ROOTS.split(':').filter(Boolean),
    localServices: env.LOCAL_SERVICES,
    tmpDir: env.TMP_DIR,
  });
  const plans = createPlanReader({ publicKeys: keys.signers });
  const handler = createRunJob({
    logger: log,
    workerId: id,
    processors: createProcessors(deps),
    readPlan: (token, expected) => plans.read(token, expected),
    publish: (batch) => queue.publish(batch),
  });
  const consumers: Consumer[] = [];
  for (const kind of JOB_KINDS) {
    const concurrency = kind === 'artifact' ? env.CONCURRENCY : CONCURRENCY[kind];
    consumers.push(await queue.consume({ pool: env.POOL, kind, concurrency, handler }));
  }
  const stopHeartbeat = startHeartbeat({
    workerId: id,
    pool: env.POOL,
    everyMs: env.HEARTBEAT_MS,
    keyring: { keys: keyring.names, primary: keyring.primary },
    consumers,
    publish: (message, signal) => queue.publish(message, signal),
    logger: log,
  });
  log.info({ concurrency: env.CONCURRENCY, deflate: codec.name }, 'worker ready');
  return {
    id,
    async stop() {
      await Promise.all(consumers.map((consumer) => consumer.close(env.GRACE_MS)));
      await stopHeartbeat(true);
      await queue.close();
    },
  };
}
