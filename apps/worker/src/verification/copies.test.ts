import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createMemberStream } from '@tarfleet/archive';
import type { Session } from '@tarfleet/transport';
import { openWorld, type StoredBackup, type World } from './testing-world.ts';

let w: World;
beforeEach(async () => {
  w = await openWorld();
});
afterEach(() => w.close());

const settle = () => sleep(3_100);
const at = (name: string): string => join(w.tree, name);
async function put(name: string, content: Buffer): Promise<void> {
  await mkdir(join(at(name), '..'), { recursive: true });
  await writeFile(at(name), content);
  await utimes(at(name), 1_700_000_000, 1_700_000_000.5);
}

interface Line {
  path: string;
  as?: string;
  at: [number, number, number];
  copy?: [number, number];
}

/** The lines of entries, by name within the tree. */
async function linesOf(backup: StoredBackup): Promise<Map<string, Line>> {
  const text = gunzipSync(await w.read(w.object(backup, 'index'))).toString();
  const entries = text
    .split('\n')
    .flatMap((line) => (line.includes('"type"') ? [JSON.parse(line) as Line] : []));
  return new Map(entries.map((entry) => [entry.path.slice(w.tree.length + 1), entry]));
}

/** The same backup, as if it had always had this tar or this index. */
async function forge(
  backup: StoredBackup,
  { tar = (same) => same, line = (same) => same }: { tar?(tar: Buffer): Buffer; line?(line: Line): Line },
): Promise<StoredBackup> {
  const gzip = createMemberStream(
    { enabled: false, level: 6, parallel: 1, codec: w.deps.codec },
    new AbortController().signal,
  );
  gzip.end(tar(gunzipSync(await w.read(w.object(backup, 'archive')))));
  const archive = Buffer.concat(await Readable.from(gzip).toArray());
  const index = gzipSync(
    gunzipSync(await w.read(w.object(backup, 'index')))
      .toString()
      .split('\n')
      .map((text) => (text.includes('"type"') ? JSON.stringify(line(JSON.parse(text) as Line)) : text))
      .join('\n'),
  );
  await w.write(w.object(backup, 'archive'), archive);
  await w.write(w.object(backup, 'index'), index);
  const stored = (bytes: Buffer) => ({
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  });
  return w.rewrite(backup, (manifest) => {
    const [artifact] = manifest.artifacts;
    if (!artifact?.index) throw new Error('no index');
    const changed = {
      object: { ...artifact.object, ...stored(archive) },
      index: { ...artifact.index, ...stored(index) },
    };
    return { ...manifest, artifacts: [{ ...artifact, ...changed }] };
  });
}

const plain = { encrypt: false, compress: false, deduplicate: true };

test('copies, and what moved, are sound at each level', async () => {
  const large = randomBytes(9_000_000);
  for (const name of ['a', 'b', 'sub/c']) await put(name, Buffer.alloc(5000, 'x'));
  for (const name of ['large-1', 'large-2']) await put(name, large);
  await settle();
  const full = await w.backUp({ deduplicate: true });
  const [artifact] = full.manifest.artifacts;
  expect(artifact).toMatchObject({ files: 5, contentBytes: 9_005_000 });
  expect(artifact?.index).toMatchObject({ files: 5, contentBytes: 18_015_000 });
  await rename(at('sub'), at('renamed'));
  await rename(at('large-2'), at('large-3'));
  await put('new', Buffer.alloc(5000, 'x'));
  const later = await w.backUp({ parent: full, deduplicate: true });
  expect(later.manifest.artifacts[0]).toMatchObject({ files: 1, contentBytes: 5000 });
  expect(later.manifest.artifacts[0]?.ancestors).toHaveLength(1);
  for (const [backup, ancestors] of [
    [full, []],
    [later, [full]],
  ] as const) {
    for (const level of ['quick', 'deep', 'test_restore'] as const) {
      const result = await w.verify(backup, { level, ancestors: [...ancestors] });
      expect(result).toMatchObject({ valid: true, issues: [] });
    }
  }
}, 120_000);

test('a deep look finds a link to another file, and an original that is not what it was', async () => {
  for (const name of ['a', 'b', 'c']) await put(name, Buffer.alloc(5000, name === 'b' ? 'y' : 'x'));
  const full = await w.backUp(plain);
  const copy = (await linesOf(full)).get('c')?.copy;
  if (!copy) throw new Error('no copy');
  expect(await w.verify(await forge(full, {}), { level: 'deep' })).toMatchObject({ valid: true });

  const [offset, bytes] = copy;
  const own = offset + bytes - 512;
  const other = await forge(full, {
    tar(tar) {
      const header = tar.subarray(own, own + 512);
      const record = tar.indexOf(`linkpath=${at('a').slice(1)}`, offset);
      if (record > 0 && record < own) tar.write('b', record + `linkpath=${at('a').slice(1)}`.length - 1);
      header.write(at('b').slice(1, 101), 157, 'latin1');
      header.fill(' ', 148, 156);
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      return tar;
    },
  });
  const found = await w.verify(other, { level: 'deep' });
  expect(found).toMatchObject({ valid: false, checks: { contents: 'failed' } });
  expect(found.issues).toEqual([expect.stringContaining(`app: ${at('c')}: `)]);
}, 60_000);

test.each<[string, (line: Line, a: Line, b: Line) => Line]>([
  ['the name of another file', (line) => ({ ...line, as: at('b') })],
  ['the place of another file', (line, _a, b) => ({ ...line, at: b.at })],
  ['name and place of another file', (line, _a, b) => ({ ...line, as: at('b'), at: b.at })],
  ['another link', (line, a) => ({ ...line, copy: [a.at[1], a.at[2]] })],
  ['no other name', ({ as: _as, copy: _copy, ...line }) => line],
])(
  'a deep look finds a copy with %s',
  async (_what, change) => {
    for (const name of ['a', 'b', 'c']) await put(name, Buffer.alloc(5000, name === 'b' ? 'y' : 'x'));
    const full = await w.backUp(plain);
    const lines = await linesOf(full);
    const [a, b] = [lines.get('a'), lines.get('b')];
    if (!a || !b) throw new Error('no line');
    const forged = await forge(full, { line: (line) => (line.path === at('c') ? change(line, a, b) : line) });
    const found = await w.verify(forged, { level: 'deep' });
    expect(found).toMatchObject({ valid: false, checks: { contents: 'failed' } });
    expect(found.services).toMatchObject([{ corruptedFiles: 1 }]);
  },
  60_000,
);

test('a large file that changes after it was looked at: everything is captured again, and right', async () => {
  for (const name of ['large-1', 'large-2', 'a', 'b'])
    await put(name, Buffer.alloc(name < 'c' ? 5000 : 9_000_000, 'x'));
  const { connect } = w.deps;
  let reads = 0;
  w.deps.connect = async (...asked): Promise<Session> => {
    const session = await connect(...asked);
    return {
      ...session,
      async exec(argv, options) {
        // Two looks, one at each large file, then the reading, and the one after it.
        if (argv.includes('--files-from=-')) reads += 1;
        if (reads === 3) {
          await appendFile(at('large-1'), 'more');
          reads += 1;
        }
        return session.exec(argv, options);
      },
    };
  };
  const backup = await w.backUp(plain);
  expect(reads).toBe(5);
  const lines = await linesOf(backup);
  expect([lines.get('large-2')?.as, lines.get('b')?.as]).toEqual([undefined, at('a')]);
  expect((await stat(at('large-1'))).size).toBe(9_000_004);
  expect(await w.verify(backup, { level: 'test_restore' })).toMatchObject({ valid: true });
}, 60_000);
