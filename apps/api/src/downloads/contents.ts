import { createHash } from 'node:crypto';
import type { ArtifactRecord, Database, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { assertRestorable } from '../planner/on-backup.ts';
import { ownName, plainName } from './file-name.ts';
import { type Piece, sizeOf } from './pieces.ts';
import { paddingOf, TAR_END_BYTES, tarHeader } from './tar-header.ts';

/** A file to download, before a byte of it is read. */
export interface Contents {
  /** Plain ASCII. */
  fileName: string;
  /** As people named it. */
  fullName: string;
  contentType: string;
  bytes: number;
  /** Strong: equal ones stand for equal bytes. */
  etag: string;
  /** SHA-256 of the whole, where that is known. */
  sha256: string | null;
  pieces: Piece[];
}

export interface ContentsOptions {
  db: Pick<Database, 'artifacts' | 'backups'>;
  storage: Pick<Storage, 'stat' | 'list'>;
  backup: FullBackup;
  /** `archive`: the only one, as it is stored. `tar`: all that is needed to restore, as it lies in the destination. */
  format: 'archive' | 'tar';
  signal: AbortSignal;
}

/** Reads sizes alone. OBJECT_NOT_FOUND or BACKUP_CORRUPTED where the destination does not hold what the records say. */
export async function readContents(options: ContentsOptions): Promise<Contents> {
  return options.format === 'archive' ? oneArchive(options) : wholeTar(options);
}

/** The archives of its services. */
export function heldBy(backup: FullBackup): ArtifactRecord[] {
  return backup.artifacts.filter(({ status }) => status === 'completed');
}

/** The same with that of the project's own records. */
function allHeldBy(backup: FullBackup): ArtifactRecord[] {
  const { recordsArtifact: records } = backup;
  return [...heldBy(backup), ...(records?.status === 'completed' ? [records] : [])];
}

async function oneArchive({ storage, backup, signal }: ContentsOptions): Promise<Contents> {
  const [artifact] = heldBy(backup);
  if (!artifact?.key || !artifact.sha256) throw new TypeError('a usable backup holds an archive');
  const { key, sha256, storedBytes } = artifact;
  const found = await storage.stat(key, signal);
  assertSize(key, found?.bytes, storedBytes);
  const ending = /\.tar\.gz(\.enc)?$/.exec(key)?.[0] ?? '';
  return {
    fileName: `${fileStem(backup, plainName)}-${plainName(artifact.serviceName)}${ending}`,
    fullName: `${fileStem(backup, ownName)}-${ownName(artifact.serviceName)}${ending}`,
    contentType: ending === '.tar.gz' ? 'application/gzip' : 'application/octet-stream',
    bytes: storedBytes ?? 0,
    etag: `"${sha256}"`,
    sha256,
    pieces: [{ key, bytes: storedBytes ?? 0 }],
  };
}

async function wholeTar(options: ContentsOptions): Promise<Contents> {
  const { backup } = options;
  const all = [await objectsOf(options, backup, allHeldBy(backup))];
  for (const [id, artifacts] of await ancestorsOf(options)) {
    const ancestor = await options.db.backups.get(id);
    if (!ancestor) throw new AppError('BACKUP_CORRUPTED', `Nothing is known of the backup ${id} any more.`);
    const wanted = ancestor.artifacts.filter((one) => artifacts.has(one.id));
    all.push(await objectsOf(options, ancestor, wanted));
  }
  const hash = createHash('sha256').update(assertRestorable(backup));
  const mtime = backup.completedAt ?? backup.createdAt;
  const pieces: Piece[] = [];
  for (const { key, bytes } of all.flat()) {
    hash.update(`\n${key} ${bytes}`);
    pieces.push(known(tarHeader(key, bytes, mtime)), { key, bytes }, known(Buffer.alloc(paddingOf(bytes))));
  }
  pieces.push(known(Buffer.alloc(TAR_END_BYTES)));
  return {
    fileName: `${fileStem(backup, plainName)}.tar`,
    fullName: `${fileStem(backup, ownName)}.tar`,
    contentType: 'application/x-tar',
    bytes: sizeOf(pieces),
    etag: `"${hash.digest('hex')}"`,
    sha256: null,
    pieces,
  };
}

/** Other backups' archives that this one's indexes point into: while it is there, so are they. */
async function ancestorsOf({ db, backup }: ContentsOptions): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  for (const { id } of heldBy(backup)) {
    for (const { backupId, artifactId } of await db.artifacts.ancestorsOf(id)) {
      if (backupId !== backup.id) found.set(backupId, (found.get(backupId) ?? new Set()).add(artifactId));
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The manifest, then of each artifact all that its last attempt has stored: archive, index, key objects. */
async function objectsOf(
  { storage, signal }: Pick<ContentsOptions, 'storage' | 'signal'>,
  { keyPrefix, manifestKey }: FullBackup,
  artifacts: ArtifactRecord[],
): Promise<{ key: string; bytes: number }[]> {
  const sizes = new Map<string, number>();
  for await (const { key, bytes } of storage.list(keyPrefix, signal)) sizes.set(key, bytes);
  const stems = artifacts.map(({ key }) => (key ?? '').replace(/\.tar\.gz(\.enc)?$/, '.'));
  for (const { key, storedBytes, indexKey, indexBytes } of artifacts) {
    assertSize(key ?? '', sizes.get(key ?? ''), storedBytes);
    if (indexKey !== null) assertSize(indexKey, sizes.get(indexKey), indexBytes);
    const sealed = key?.endsWith('.enc');
    if (sealed && ![...sizes.keys()].some((one) => one.startsWith(`${key}.key.`)))
      throw missing(`${key}.key.*`);
  }
  const first = manifestKey ?? `${keyPrefix}/manifest.json`;
  if (!sizes.has(first)) throw missing(first);
  const keys = [...sizes.keys()].filter((key) => stems.some((stem) => key.startsWith(stem))).sort();
  return [first, ...keys].map((key) => ({ key, bytes: sizes.get(key) ?? 0 }));
}

function assertSize(key: string, found: number | undefined, recorded: number | null): void {
  if (found === undefined) throw missing(key);
  if (found === recorded) return;
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The object ${key} has ${found} bytes, and ${recorded} were stored. Verify the backup.`,
  );
}

function missing(key: string): AppError {
  return new AppError('OBJECT_NOT_FOUND', `The object ${key} is not in the destination. Verify the backup.`);
}

function known(content: Buffer): Piece {
  return { content, bytes: content.length };
}

function fileStem({ id, name, createdAt }: FullBackup, clean: (text: string) => string): string {
  return clean(name ?? '') || `backup-${createdAt.toISOString().slice(0, 10)}-${id.slice(-6)}`;
}
