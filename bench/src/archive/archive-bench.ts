import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startS3 } from '@tarfleet/testbed';
import { type Bench, type BenchContext, type Figure, figure } from '../bench.ts';
import { peakResident } from '../processes.ts';
import { table } from '../table.ts';
import { makeCorpus, makeSmallFiles } from './corpus.ts';
import { oneFileShare } from './one-file.ts';
import { createBorg, createRestic, pigz, requireOthers } from './others.ts';
import { type Backup, createOurs } from './ours.ts';

const SMALL_FILES = 100_000;
const MILLION = 1_000_000;
const RESIDENT_GOAL_MB = 300;
/** What borg takes by default, and what comes closest to our level 6. */
const BORG_DEFAULT = 'lz4';
const BORG_LEVEL_6 = 'zlib,6';

type Part = (context: BenchContext) => Promise<Figure[]>;

export const archiveBench: Bench = {
  name: 'archive',
  about:
    'encrypted archives beside tar, pigz and openssl, restic and borg (parts: write incremental one-file million)',
  async run(context) {
    await requireOthers();
    const parts: Record<string, Part> = { write, incremental, 'one-file': oneFile, million };
    const unknown = context.parts.filter((name) => !(name in parts));
    if (unknown.length > 0) throw new Error(`There is no part ${unknown.join(', ')}.`);
    const figures: Figure[] = [];
    for (const [name, run] of Object.entries(parts)) {
      if (context.parts.length > 0 && !context.parts.includes(name)) continue;
      figures.push(...(await run(context)));
    }
    return figures;
  },
};

/** Seconds; the ratio is how many times as fast as the other we are. */
function speed(name: string, ours: number, other: number): Figure {
  const seconds = figure('archive', name, ours, other);
  return { ...seconds, ratio: figure('archive', name, other, ours).ratio };
}

async function write(context: BenchContext): Promise<Figure[]> {
  const { say, signal } = context;
  const dir = await context.folder();
  say('Writing the corpus');
  const corpus = await makeCorpus(join(dir, 'corpus'), signal);
  const ours = await createOurs(context, dir);
  const classes = { compressible: corpus.compressible, media: corpus.media, all: corpus.dir };
  const rows: (string | number)[][] = [];
  const found: Record<string, { ours: Backup; pigz: { seconds: number; bytes: number } }> = {};
  for (const [name, path] of Object.entries(classes)) {
    const service = await ours.addService(name, path);
    // Whoever comes second finds the files in the page cache: both do.
    await pigz(path, join(dir, 'warm'));
    const theirs = await pigz(path, join(dir, 'pigz'));
    const backup = await ours.backUp(service);
    found[name] = { ours: backup, pigz: theirs };
    rows.push([name, backup.seconds, theirs.seconds, backup.bytes / 1e6, theirs.bytes / 1e6]);
  }
  say(`\n${table(['level 6', 'ours s', 'pigz s', 'ours MB', 'pigz MB'], rows)}\n`);
  const { all, compressible, media } = found;
  if (!all || !compressible || !media) throw new Error('A class is missing.');
  const restic = await createRestic(dir);
  const resticSeconds = await restic.backUp(corpus.dir);
  const borg = await createBorg(dir, BORG_LEVEL_6);
  const borgSeconds = await borg.backUp(corpus.dir);
  const borgFastSeconds = await (await createBorg(dir, BORG_DEFAULT)).backUp(corpus.dir);
  const fast = await ours.backUp('all', 'full', 1);
  const once = await ours.backUp('all', 'full', 6, true);
  const fastOnce = await ours.backUp('all', 'full', 1, true);
  const restored = await ours.restore(all.ours.id, join(dir, 'restored-by-us'));
  const theirs = await restic.restore(join(dir, 'restored-by-restic'));
  const theirsOfBorg = await borg.restore(join(dir, 'restored-by-borg'));
  say(
    `restic: ${resticSeconds.toFixed(1)} s; ours at level 1: ${fast.seconds.toFixed(1)} s; restore: ${restored.toFixed(1)} s, restic ${theirs.toFixed(1)} s`,
  );
  say(
    `borg: ${borgSeconds.toFixed(1)} s with ${BORG_LEVEL_6}, ${borgFastSeconds.toFixed(1)} s with ${BORG_DEFAULT}; restore: ${theirsOfBorg.toFixed(1)} s`,
  );
  say(
    `With deduplication: ${once.seconds.toFixed(1)} s, ${(once.bytes / 1e6).toFixed(0)} MB; at level 1: ${fastOnce.seconds.toFixed(1)} s, ${(fastOnce.bytes / 1e6).toFixed(0)} MB`,
  );
  return [
    speed('write-6-pigz-openssl', all.ours.seconds, all.pigz.seconds),
    speed('write-6-compressible-pigz-openssl', compressible.ours.seconds, compressible.pigz.seconds),
    speed('write-6-dedup-pigz-openssl', once.seconds, all.pigz.seconds),
    speed('write-6-dedup-restic', once.seconds, resticSeconds),
    speed('write-1-dedup-restic', fastOnce.seconds, resticSeconds),
    speed('write-6-restic', all.ours.seconds, resticSeconds),
    speed('write-1-restic', fast.seconds, resticSeconds),
    speed('write-6-borg', all.ours.seconds, borgSeconds),
    speed('write-6-dedup-borg', once.seconds, borgSeconds),
    speed('write-1-dedup-borg', fastOnce.seconds, borgFastSeconds),
    figure(
      'archive',
      'size-6-pigz',
      (compressible.ours.bytes + media.ours.bytes) / 1e6,
      (compressible.pigz.bytes + media.pigz.bytes) / 1e6,
    ),
    speed('restore-restic', restored, theirs),
    speed('restore-borg', restored, theirsOfBorg),
  ];
}

async function incremental(context: BenchContext): Promise<Figure[]> {
  const { say, signal } = context;
  const dir = await context.folder();
  const tree = join(dir, 'tree');
  await makeSmallFiles(tree, SMALL_FILES, signal);
  const ours = await createOurs(context, dir);
  const restic = await createRestic(dir);
  const borg = await createBorg(dir, BORG_DEFAULT);
  const service = await ours.addService('small', tree);
  // Beyond what counts as just changed.
  await sleep(4_000, undefined, { signal });
  await ours.backUp(service);
  await restic.backUp(tree);
  await borg.backUp(tree);
  const unchanged = {
    ours: (await ours.backUp(service, 'incremental')).seconds,
    restic: await restic.backUp(tree),
    borg: await borg.backUp(tree),
  };
  for (let file = 0; file < SMALL_FILES; file += 100) {
    await appendFile(join(tree, String(file / 100), `file-${file}.txt`), 'changed');
  }
  await sleep(4_000, undefined, { signal });
  const changed = {
    ours: (await ours.backUp(service, 'incremental')).seconds,
    restic: await restic.backUp(tree),
    borg: await borg.backUp(tree),
  };
  const rows = Object.entries({ unchanged, '1 % changed': changed }).map(([name, seconds]) => [
    ...[name, seconds.ours, seconds.restic, seconds.borg],
  ]);
  say(`\n${table([`${SMALL_FILES} files`, 'ours s', 'restic s', 'borg s'], rows)}\n`);
  return [
    speed('unchanged-restic', unchanged.ours, unchanged.restic),
    speed('changed-1-percent-restic', changed.ours, changed.restic),
    speed('unchanged-borg', unchanged.ours, unchanged.borg),
    speed('changed-1-percent-borg', changed.ours, changed.borg),
  ];
}

async function oneFile(context: BenchContext): Promise<Figure[]> {
  const dir = await context.folder();
  const s3 = context.own(await startS3());
  const share = await oneFileShare(context, dir, s3);
  return [figure('archive', 'one-file-percent', share * 100)];
}

async function million(context: BenchContext): Promise<Figure[]> {
  const { say, signal } = context;
  const dir = await context.folder();
  const tree = join(dir, 'tree');
  say('Writing 1,000,000 files');
  await makeSmallFiles(tree, MILLION, signal);
  const ours = await createOurs(context, dir);
  const service = await ours.addService('million', tree);
  const pid = ours.stack.workers[0]?.child.pid;
  if (pid === undefined) throw new Error('The worker has no process.');
  const full = await ours.backUp(service, 'full', 1);
  await sleep(4_000, undefined, { signal });
  const idle = await ours.backUp(service, 'incremental', 1);
  const mb = (await peakResident(pid)) / 1e6;
  say(
    `Full in ${full.seconds.toFixed(0)} s, again in ${idle.seconds.toFixed(0)} s; most memory ${mb.toFixed(0)} MB`,
  );
  await rm(tree, { recursive: true });
  return [figure('archive', 'resident-million-mb', mb, RESIDENT_GOAL_MB)];
}
