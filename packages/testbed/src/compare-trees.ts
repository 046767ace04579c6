import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { type BigIntStats, createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { findTool } from './tools.ts';

const run = promisify(execFile);

/** All that a backup must keep of one entry. Names are bytes, one character each. */
export interface TreeEntry {
  path: string;
  type: string;
  mode: string;
  uid: string;
  gid: string;
  /** Not of folders, whose size is the filesystem's own matter. */
  size: string;
  mtimeNs: string;
  link: string;
  /** For the second and further names of one inode, in the order of paths: its first. */
  sameAs: string;
  sha256: string;
  /** Of devices only. */
  rdev: string;
  /** With the ACLs, as `name=0xhex`; empty on a machine without getfattr. */
  xattrs: string;
}

/** Every entry below a folder, itself included as an empty path, sorted by the bytes of the path. */
export async function snapshotTree(root: string): Promise<TreeEntry[]> {
  const found: { entry: TreeEntry; inode: string }[] = [];
  const base = Buffer.from(root.replace(/(?<=.)\/+$/, ''));
  const xattrs = await readAttributes(base.toString());
  const walk = async (relative: Buffer): Promise<void> => {
    const full = relative.length > 0 ? Buffer.concat([base, SLASH, relative]) : base;
    const stats = await lstat(full, { bigint: true });
    const path = relative.toString('latin1');
    const entry = await describe(full, path, stats, xattrs.get(path) ?? '');
    const linked = !stats.isDirectory() && stats.nlink > 1n;
    found.push({ entry, inode: linked ? `${stats.dev}:${stats.ino}` : '' });
    if (!stats.isDirectory()) return;
    for (const name of await readdir(full, { encoding: 'buffer' })) {
      await walk(relative.length > 0 ? Buffer.concat([relative, SLASH, name]) : name);
    }
  };
  await walk(Buffer.alloc(0));
  // One character is one byte. Not in the order of the walk, in which "a/x" comes before "a-b".
  found.sort((one, other) => (one.entry.path < other.entry.path ? -1 : 1));
  const firsts = new Map<string, string>();
  return found.map(({ entry, inode }) => {
    if (inode === '') return entry;
    const first = firsts.get(inode);
    if (first === undefined) firsts.set(inode, entry.path);
    return { ...entry, sameAs: first ?? '' };
  });
}

const SLASH = Buffer.from('/');

async function describe(full: Buffer, path: string, stats: BigIntStats, xattrs: string): Promise<TreeEntry> {
  const type = typeOf(stats);
  return {
    path,
    type,
    mode: (stats.mode & 0o7777n).toString(8),
    uid: String(stats.uid),
    gid: String(stats.gid),
    size: type === 'directory' ? '' : String(stats.size),
    mtimeNs: String(stats.mtimeNs),
    link: type === 'symlink' ? (await readlink(full, { encoding: 'buffer' })).toString('latin1') : '',
    sameAs: '',
    sha256: type === 'file' ? await hashOf(full) : '',
    rdev: type.endsWith('device') ? String(stats.rdev) : '',
    xattrs,
  };
}

function typeOf(stats: BigIntStats): string {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isCharacterDevice()) return 'character device';
  if (stats.isBlockDevice()) return 'block device';
  return 'socket';
}

async function hashOf(path: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Extended attributes and ACLs by path; nothing on a machine without getfattr. */
async function readAttributes(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const tool = await findTool('getfattr');
  if (!tool) return found;
  const args = ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', root];
  const { stdout } = await run(tool, args, { encoding: 'latin1', maxBuffer: 1 << 28 });
  for (const block of stdout.split('\n\n')) {
    const [head = '', ...lines] = block.split('\n');
    const name = head
      .replace(/^# file: /, '')
      .replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const path = name.slice(Buffer.from(root).toString('latin1').length + 1);
    found.set(path, lines.filter(Boolean).sort().join(' '));
  }
  return found;
}

/** One line for each difference; none when the trees are the same in all that counts. */
export function compareTrees(before: TreeEntry[], after: TreeEntry[]): string[] {
  const differences: string[] = [];
  const there = new Map(after.map((entry) => [entry.path, entry]));
  for (const entry of before) {
    const other = there.get(entry.path);
    there.delete(entry.path);
    const name = JSON.stringify(entry.path);
    if (!other) {
      differences.push(`${name} is missing (${entry.type})`);
      continue;
    }
    for (const field of Object.keys(entry) as (keyof TreeEntry)[]) {
      if (entry[field] !== other[field]) {
        differences.push(
          `${name}: ${field} was ${JSON.stringify(entry[field])}, is ${JSON.stringify(other[field])}`,
        );
      }
    }
  }
  for (const entry of there.values())
    differences.push(`${JSON.stringify(entry.path)} is new (${entry.type})`);
  return differences;
}
