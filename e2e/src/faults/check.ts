import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { compareTrees } from '@tarfleet/testbed';
import { until } from '../until.ts';
import type { Outcome } from './expected.ts';
import type { FaultWorld } from './fault-world.ts';
import { GENERATIONS, type Generation, TREES } from './site.ts';

/** What a restore left, as far as it was looked at. */
export interface Findings {
  outcome: Outcome;
  data: Generation | 'mixed';
  /** What is wrong, one line each; none when everything is as it must be. */
  wrong: string[];
}

/** Looks at everything that a restore has left: services, files, records, folders, processes. */
export async function checkCell(here: FaultWorld, jobId: string, broken: string[]): Promise<Findings> {
  const wrong: string[] = [];
  const { client } = here.world;
  const { data: job } = await client.must('GET', `/api/jobs/${jobId}`);
  const { data: row } = await client.must('GET', `/api/backups/restore-jobs/${jobId}`);
  const outcome = outcomeOf(job, row, wrong);
  const data = await dataOf(here, wrong);
  const right: Generation | null =
    outcome === 'completed' ? 'backup' : outcome === 'failed' ? null : 'before';
  if (right !== null && data !== right) wrong.push(`it is ${outcome}, but the data is ${data}`);
  await checkServices(here, data, { broken, message: String(row.error_message) }, wrong);
  checkAudit(row, outcome, wrong);
  await checkFolders(here, jobId, row.rollback_path, wrong);
  await checkProcesses(here, wrong);
  await checkJournal(jobId, wrong);
  const ended = Date.parse(job.ended_at);
  const late = (await here.site.gates.calls()).filter(
    ({ at, line }) => at > ended + 200 && / (\S+-(stop|start)|mv|rename) /.test(`${line} `),
  );
  for (const { line } of late) wrong.push(`after the job's end: ${line}`);
  return { outcome, data, wrong };
}

function outcomeOf(
  job: { state: string; result: { outcome?: string } | null; failure: object | null },
  row: { status: string; completed_at: string | null; error_message: string | null },
  wrong: string[],
): Outcome {
  if (row.completed_at === null) wrong.push('restore_jobs.completed_at is empty');
  if (job.state === 'completed') {
    if (row.status !== 'completed') wrong.push(`the job is completed, its row ${row.status}`);
    if (row.error_message !== null) wrong.push(`completed, with the message ${row.error_message}`);
    return 'completed';
  }
  const told = job.result?.outcome ?? 'no result';
  if (row.error_message === null) wrong.push('no error_message');
  const status = told === 'rolled_back' ? 'rolled_back' : 'failed';
  if (row.status !== status) wrong.push(`the job ended ${told}, its row says ${row.status}`);
  if (job.state === 'cancelled') return 'cancelled';
  if (told === 'rolled_back' && !/rolled back to previous state/.test(row.error_message ?? ''))
    wrong.push(`rolled back, but the message is: ${row.error_message}`);
  // What ends before it has begun on the server has no result, and has changed nothing.
  if (told === 'no result') return 'unchanged';
  return told as Outcome;
}

/** All trees of one generation, or mixed, which is always wrong. */
async function dataOf({ site }: FaultWorld, wrong: string[]): Promise<Findings['data']> {
  const now = await site.now().catch((error: Error) => error);
  if (now instanceof Error) {
    wrong.push(`the data cannot be read: ${now.message}`);
    return 'mixed';
  }
  const differences = (generation: Generation): string[] =>
    TREES.flatMap((tree) =>
      compareTrees(site.snapshots[generation][tree], now[tree]).map((line) => `${tree}: ${line}`),
    );
  for (const generation of GENERATIONS) if (differences(generation).length === 0) return generation;
  const [least = []] = GENERATIONS.map(differences).sort((one, other) => one.length - other.length);
  wrong.push(`the data is neither old nor new: ${least.slice(0, 5).join('; ')}`);
  return 'mixed';
}

async function checkServices(
  { site }: FaultWorld,
  data: Findings['data'],
  { broken, message }: { broken: string[]; message: string },
  wrong: string[],
): Promise<void> {
  const answers = await site.ask();
  for (const name of ['web', 'cache'] as const) {
    if (answers[name] === null && broken.includes(name)) {
      if (!message.includes(name)) wrong.push(`${name} does not run, and nothing says so: ${message}`);
    } else if (answers[name] === null) wrong.push(`${name} does not run any more (${message})`);
    else if (data !== 'mixed' && answers[name] !== data) {
      wrong.push(`${name} serves ${answers[name]}, its files are ${data}`);
    }
  }
  if (answers.batch) wrong.push('batch runs, which did not run before');
}

interface AuditRow {
  step_name: string;
  status: string;
  completed_at: string | null;
  duration_ms: number | null;
}

function checkAudit(row: { audit_logs: AuditRow[] }, outcome: Outcome, wrong: string[]): void {
  const rows = row.audit_logs;
  for (const one of rows) {
    if (one.completed_at === null || one.duration_ms === null || one.status === 'started')
      wrong.push(`the audit log has ${one.step_name} as ${one.status}, not ended`);
  }
  const has = (name: string, status: string): boolean =>
    rows.some((one) => one.step_name === name && one.status === status);
  if (outcome === 'completed' && !has('complete', 'completed')) {
    wrong.push(`completed, but the audit log has no such step: ${rows.map(told).join(', ')}`);
  }
  if (outcome === 'rolled_back' && !has('rollback', 'completed'))
    wrong.push(`rolled back, but the audit log does not say so: ${rows.map(told).join(', ')}`);
  const failed = rows.some(({ status }) => status === 'failed');
  if (!failed && outcome !== 'completed' && outcome !== 'cancelled')
    wrong.push(`no step of the audit log failed: ${rows.map(told).join(', ')}`);
}

function told({ step_name, status }: AuditRow): string {
  return `${step_name} ${status}`;
}

async function checkFolders(
  { site }: FaultWorld,
  jobId: string,
  rollbackPath: string | null,
  wrong: string[],
): Promise<void> {
  const left = (await readdir(site.small)).filter((name) => name.startsWith('.tarfleet'));
  if (rollbackPath !== null && !left.includes(basename(rollbackPath)))
    wrong.push(`rollback_path names ${rollbackPath}, which is not there`);
  // Each service has its own; rollback_path names the first.
  const kept = rollbackPath === null ? [] : left.filter((name) => name.includes(jobId));
  const others = left.filter((name) => !kept.includes(name));
  if (others.length > 0) wrong.push(`folders are left: ${others.join(', ')}`);
}

async function checkProcesses({ world }: FaultWorld, wrong: string[]): Promise<void> {
  const left = async () =>
    (await world.sshd.commands())
      .map(({ line }) => line.replaceAll('\0', ' '))
      .filter((line) => !/^(nginx|\S*redis-server|sshd)/.test(line));
  // Those that were let go only now may need a moment.
  const lines = await until('nothing runs', async () => (await left()).length === 0 && []).catch(left);
  for (const line of lines) wrong.push(`still running on the server: ${line.slice(0, 200)}`);
}

async function checkJournal(jobId: string, wrong: string[]): Promise<void> {
  const path = `/var/lib/tarfleet/restores/${jobId}/journal.json`;
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return;
  const { phase } = JSON.parse(text) as { phase: string };
  if (phase !== 'ended' && phase !== 'preparing') wrong.push(`the journal on the server stands at ${phase}`);
}
