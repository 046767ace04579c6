import type { Database } from '@tarfleet/db';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { JobView } from '../../jobs-port.ts';
import type { LiveHub } from '../../live/hub.ts';
import { assertNotFailed, waitAsPreferred } from '../../live/wait-as-preferred.ts';
import { preferredWait } from '../../plugins/prefer.ts';
import { ok } from '../answers.ts';
import { showJob } from './show-job.ts';

/** Answers a request that started one job and asks for nothing else: 202 at once, or 200 with the whole job at its end. */
export async function answerJob(
  deps: { db: Database; hub: LiveHub },
  request: FastifyRequest,
  reply: FastifyReply,
  started: JobView,
) {
  reply.header('location', `/api/jobs/${started.id}`);
  const job = await waitAsPreferred(deps, request, started.id, preferredWait(request, reply));
  assertNotFailed(job);
  if (!job || job.endedAt === null) return reply.code(202).send(ok(started));
  return reply.code(200).send(ok(await showJob(deps.db, job)));
}
