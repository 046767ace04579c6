import { readFile, rm } from 'node:fs/promises';
import { until } from '../until.ts';
import { checkCell, type Findings } from './check.ts';
import { expectedOutcomes } from './expected.ts';
import type { FaultWorld } from './fault-world.ts';
import { FAULTS, type Fault, type FaultName, isArchive } from './faults.ts';
import { createRandom, hashOf, pick } from './random.ts';
import { TREES } from './site.ts';
import { nameOf, POINTS, type Point, type Step } from './steps.ts';

export interface Cell {
  step: Step;
  fault: FaultName;
}

export interface CellResult extends Cell {
  point: string;
  variant: string;
  outcome: Findings['outcome'] | 'none';
  wrong: string[];
  seconds: number;
  jobId: string;
}

const END_MS = 150_000;
const JOURNALS = '/var/lib/tarfleet/restores';

/** One restore with one fault at one step, and everything that is looked at afterwards. */
export async function runCell(here: FaultWorld, { step, fault }: Cell, seed: number): Promise<CellResult> {
  const random = createRandom(seed ^ hashOf(`${step}:${fault}`));
  const how: Fault = FAULTS[fault];
  const storage = fault === 'archive corrupt' || fault === 'storage unreachable';
  const points = POINTS[step].filter((point) => !storage || step !== 'prepare_data' || point.at === 's3');
  const point = pick(random, points);
  const variant = pick(random, how.variants(step, point));
  const started = performance.now();
  const result: CellResult = {
    ...{ step, fault, point: nameOf(point), variant, outcome: 'none', wrong: [], seconds: 0, jobId: '' },
  };
  try {
    await reset(here);
    await here.site.lay('before');
    const held = await arm(here, point);
    // A service that is not well with the new data is what makes it go back.
    if (step === 'rollback') await here.site.gates.turn('web-unhealthy-new');
    const { data } = await here.world.client.must('POST', `/api/backups/${here.backupId}/restore`, {});
    const jobId: string = data.restoreJobId;
    result.jobId = jobId;
    await until(`${result.point} is reached`, held);
    await assertPhase(point, jobId);
    const injected = await how.inject({ here, jobId, variant });
    if (injected.letGo) await letGo(here);
    await injected.during?.();
    await here.world.client.ended(jobId, END_MS);
    await injected.lift();
    await here.site.gates.turnBack();
    await letGo(here);
    const broken = /^(web|cache)-(start|stop|hang)$/.exec(variant)?.[1];
    const found = await checkCell(here, jobId, broken ? [broken] : []);
    result.outcome = found.outcome;
    result.wrong.push(...found.wrong);
    const right = expectedOutcomes(step, fault, variant, point);
    if (!right.includes(found.outcome))
      result.wrong.push(`it ended ${found.outcome}, and not ${right.join(' or ')}`);
    await checkAfterwards(here, result.wrong);
  } catch (error) {
    result.wrong.push((error as Error).message.slice(0, 400));
  }
  result.seconds = (performance.now() - started) / 1000;
  return result;
}

/** Everything whole, open and let go, whatever the last cell has left. */
async function reset(here: FaultWorld): Promise<void> {
  await letGo(here);
  here.queue.process.kill('SIGCONT');
  here.queueWay.refuse(false);
  for (const { child } of here.workers()) child.kill('SIGCONT');
  await here.fillUp();
  await here.site.gates.reset();
  // Each keeps some space for its journal, of which there is little here.
  await rm(JOURNALS, { recursive: true, force: true });
}

async function letGo(here: FaultWorld): Promise<void> {
  here.ssh.release();
  for (const release of releases.splice(0)) release();
  await here.site.gates.release();
}

const releases: (() => void)[] = [];

/** Gives what tells whether the point is reached. */
async function arm(here: FaultWorld, point: Point): Promise<() => Promise<boolean>> {
  here.s3.decide = () => 'pass';
  if (point.at === 'ssh') {
    here.ssh.hold();
    return async () => here.ssh.waiting() > 0;
  }
  if (point.at === 'call') {
    await here.site.gates.arm(point);
    return here.site.gates.held;
  }
  let count = 0;
  let waits = false;
  here.s3.decide = async (request) => {
    if (request.method !== 'GET' || !isArchive(request.url)) return 'pass';
    count += 1;
    if (count === point.nth) {
      waits = true;
      await new Promise<void>((resolve) => releases.push(resolve));
      // The fault that was injected meanwhile is this request's, too.
      const decide = here.s3.decide;
      return count >= point.nth && decide !== held ? decide(request) : 'pass';
    }
    return 'pass';
  };
  const held = here.s3.decide;
  return async () => waits;
}

/** A point that no longer lies where its step is would prove nothing. */
async function assertPhase(point: Point, jobId: string): Promise<void> {
  if (point.at !== 'call' || point.phase === undefined) return;
  const { phase } = JSON.parse(await readFile(`${JOURNALS}/${jobId}/journal.json`, 'utf8'));
  if (phase !== point.phase)
    throw new Error(`${nameOf(point)}: the journal says ${phase}, and not ${point.phase}.`);
}

/** Leases are gone, and a plain restore works as if nothing had been. */
async function checkAfterwards(here: FaultWorld, wrong: string[]): Promise<void> {
  const { client } = here.world;
  await here.fillUp();
  await here.site.start();
  const backup = await client.request('POST', '/api/backups/create', {
    ...{ type: 'full', encrypt: false, services: [...TREES] },
  });
  if (backup.status !== 202) {
    wrong.push(`a new backup is refused: ${backup.status} ${JSON.stringify(backup.body)}`);
    return;
  }
  const saved = await client.ended(backup.body.data.backup_id, END_MS);
  if (saved.state !== 'completed') wrong.push(`a new backup ended ${saved.state}`);
  const { data } = await client.must('POST', `/api/backups/${here.backupId}/restore`, {});
  const job = await client.ended(data.restoreJobId, END_MS);
  const { web, cache } = await here.site.ask();
  if (job.state !== 'completed' || web !== 'backup' || cache !== 'backup') {
    const failure = JSON.stringify(job.failure);
    wrong.push(`the restore after it ended ${job.state}, web ${web}, cache ${cache}: ${failure}`);
  }
}
