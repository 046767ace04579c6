import type { ArchiveRoot } from '@tarfleet/archive';
import { isBelow } from '../paths.ts';

/** Folders that Tarfleet itself makes on servers: never part of a backup. */
export const OWN = '.tarfleet-restore-*';

/** What the kernel makes up as it is read: a mount of it inside a root is listed, what it shows is not. */
export const PSEUDO = [
  ...['proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup', 'cgroup2', 'cgroup2fs', 'securityfs', 'debugfs'],
  ...['tracefs', 'pstore', 'bpf', 'bpf_fs', 'mqueue', 'hugetlbfs', 'configfs', 'fusectl', 'efivarfs'],
  ...['autofs', 'binfmt_misc', 'nsfs', 'rpc_pipefs', 'selinuxfs'],
];

/** Depth below the root, then what `Facts` reads; then the path. */
const FORMAT = '%d %y %n %D %i %s %m %U %G %T@ %C@\\0%p\\0';

/**
 * The arguments of `find` that list a service: roots first, then what is pruned, then what is printed. Excludes
 * never apply to the roots themselves, which somebody asked for by name.
 */
export function findArguments(
  roots: readonly ArchiveRoot[],
  exclude: readonly string[],
): (string | Buffer)[] {
  const isRoot = anyOf(roots.map(({ path }) => ['-path', escapeGlob(path)]));
  const excluded = anyOf([['-type', 'd', '-name', OWN], ...exclude.flatMap(toTest)]);
  const pseudo = anyOf(PSEUDO.map((type) => ['-fstype', type]));
  return [
    ...['find', '-P', ...roots.map((root) => root.path), '-ignore_readdir_race'],
    ...[...excluded, '!', ...isRoot, '-prune'],
    ...['-o', '-type', 'd', ...pseudo, '!', ...isRoot, '-prune', '-printf', FORMAT],
    ...['-o', '-printf', FORMAT],
  ];
}

/** As `findArguments`, for a find that knows neither `-printf` nor `-fstype`: the names below one root. */
export function bareFindArguments(
  root: Buffer,
  roots: readonly ArchiveRoot[],
  exclude: readonly string[],
  pseudo: ReadonlySet<string>,
): (string | Buffer)[] {
  const isRoot = anyOf(roots.map(({ path }) => ['-path', escapeGlob(path)]));
  const excluded = anyOf([['-type', 'd', '-name', OWN], ...exclude.flatMap(toTest)]);
  const made = [...pseudo].map((path) => Buffer.from(path, 'latin1')).filter((path) => isBelow(path, root));
  const listedOnly = anyOf(made.map((path) => ['-path', escapeGlob(path)]));
  return [
    ...['find', root, ...excluded, '!', ...isRoot, '-prune', '-o'],
    ...(made.length > 0 ? [...listedOnly, '!', ...isRoot, '-prune', '-print0', '-o'] : []),
    '-print0',
  ];
}

/** The same about these folders alone. */
export function lookArguments(paths: readonly Buffer[]): (string | Buffer)[] {
  return ['find', '-P', ...paths, '-maxdepth', '0', '-type', 'd', '-printf', FORMAT];
}

/**
 * A pattern that begins with `/` is a glob for the whole path; one with a `/` inside matches at any depth; one
 * without is a glob for the name. With a `/` at its end it means folders only.
 */
function toTest(pattern: string): string[][] {
  const plain = pattern.replace(/\/+$/, '');
  if (plain === '') return [];
  const folder = plain === pattern ? [] : ['-type', 'd'];
  if (plain.startsWith('/')) return [[...folder, '-path', plain]];
  return [[...folder, ...(plain.includes('/') ? ['-path', `*/${plain}`] : ['-name', plain])]];
}

function anyOf<T extends string | Buffer>(tests: T[][]): (T | string)[] {
  return ['(', ...tests.flatMap((test, index) => (index === 0 ? test : ['-o', ...test])), ')'];
}

/** So that a path stands for itself where a glob is expected. */
function escapeGlob(path: Buffer): Buffer {
  return Buffer.from(path.toString('latin1').replace(/[\\*?[\]]/g, '\\$&'), 'latin1');
}
