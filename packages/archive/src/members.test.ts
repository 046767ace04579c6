import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import fc from 'fast-check';
import { createMemberReader } from './member-reader.ts';
import { BLOCK_BYTES, createMemberStream } from './member-stream.ts';
import { cut, neverAborted, through } from './test-streams.ts';

const options = { enabled: true, level: 6, parallel: 3 };
const compress = (chunks: Iterable<Buffer>, with_ = options): Promise<Buffer> =>
  through(chunks, createMemberStream(with_, neverAborted()));
const read = (chunks: Iterable<Buffer>): Promise<Buffer> =>
  through(chunks, createMemberReader(neverAborted()));

const corrupted = expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' });
const small = Buffer.concat([gzipSync('hello '.repeat(10)), gzipSync('world')]);
const firstMember = gzipSync('hello '.repeat(10)).length;

function countMembers(gz: Buffer): number {
  let count = 0;
  for (let at = gz.indexOf('1f8b0800000000', 0, 'hex'); at >= 0; ) {
    count += 1;
    at = gz.indexOf('1f8b0800000000', at + 1, 'hex');
  }
  return count;
}

describe('createMemberStream', () => {
  test('cuts blocks of 4 MiB into members that are one valid gzip file together', async () => {
    const text = Buffer.from('all work and no play\n'.repeat(500_000));
    const gz = await compress(cut(text, [1, 70_000, BLOCK_BYTES, BLOCK_BYTES + 1]));
    expect(countMembers(gz)).toBe(Math.ceil(text.length / BLOCK_BYTES));
    expect(gunzipSync(gz).equals(text)).toBe(true);
    expect(gz.length).toBeLessThan(text.length / 20);
  });

  test('gives the same bytes whatever the chunks and however many blocks at once', async () => {
    const mixed = Buffer.concat([Buffer.alloc(BLOCK_BYTES + 7, 'ab'), randomBytes(BLOCK_BYTES)]);
    const once = await compress([mixed], { ...options, parallel: 1 });
    const again = await compress(cut(mixed, [3, 5_000_000, 5_000_001]), { ...options, parallel: 8 });
    expect(again.equals(once)).toBe(true);
  });

  test.each([true, false])('stores what does not shrink (compression enabled: %s)', async (enabled) => {
    const noise = randomBytes(BLOCK_BYTES + 100_000);
    const gz = await compress([noise], { ...options, enabled });
    expect(gunzipSync(gz).equals(noise)).toBe(true);
    expect(gz.length).toBeLessThan(noise.length + noise.length / 8000);
    expect(gz.length).toBeGreaterThan(noise.length);
  });

  test('without compression every block is stored', async () => {
    const text = Buffer.alloc(200_000, 'x');
    const gz = await compress([text], { ...options, enabled: false });
    expect(gunzipSync(gz).equals(text)).toBe(true);
    expect(gz.length).toBe(text.length + 18 + 4 * 5);
  });

  test.each([true, false])('an empty stream gives one empty member (enabled: %s)', async (enabled) => {
    const gz = await compress([], { ...options, enabled });
    expect(countMembers(gz)).toBe(1);
    expect(gunzipSync(gz)).toHaveLength(0);
    expect(await read([gz])).toHaveLength(0);
  });

  test('holds only so much when nobody reads', async () => {
    let produced = 0;
    const endless = Readable.from(
      (function* () {
        for (;;) {
          produced += 1 << 20;
          yield randomBytes(1 << 20);
        }
      })(),
      { objectMode: false },
    );
    const stream = createMemberStream(options, neverAborted());
    endless.pipe(stream);
    // Until nothing more is taken for as long as a hundred members would need.
    let still = 0;
    for (let last = -1; still < 2000; still = produced === last ? still + 1 : 0) {
      last = produced;
      await turn();
    }
    expect(produced).toBeLessThanOrEqual((options.parallel + 3) * BLOCK_BYTES);
    endless.destroy();
    stream.destroy();
  });

  test.each([createMemberReader, (signal: AbortSignal) => createMemberStream(options, signal)])(
    'an abort ends it with its reason',
    async (create) => {
      const reason = new AppError('CANCELLED', 'The job was cancelled.');
      const controller = new AbortController();
      const late = through([], create(AbortSignal.abort(reason)));
      await expect(late).rejects.toBe(reason);
      const source = new Readable({ read() {} });
      source.push(small);
      const running = through(source as unknown as Iterable<Buffer>, create(controller.signal));
      await turn();
      controller.abort(reason);
      await expect(running).rejects.toBe(reason);
    },
  );
});

describe('createMemberReader', () => {
  test('reads what the stream wrote, cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 3000 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.boolean(),
        async (bytes, places, enabled) => {
          const gz = await compress([Buffer.from(bytes)], { ...options, enabled });
          const back = await read(cut(gz, places));
          expect(back.equals(Buffer.from(bytes))).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test.each(['whole', 'bytes'] as const)('a file cut at any byte is damaged (%s)', async (how) => {
    expect((await read(cut(small, 'bytes'))).toString()).toBe(`${'hello '.repeat(10)}world`);
    for (let length = 0; length < small.length; length += 1) {
      // Between two members it is a valid file: the tar inside shows that it ends early.
      if (length === firstMember) continue;
      const part = small.subarray(0, length);
      await expect(read(how === 'bytes' ? cut(part, 'bytes') : [part])).rejects.toEqual(corrupted);
    }
  });

  test.each([['garbage'], ['\0'], ['\0\0\0\0'], ['\0\x1f\x8b'], ['\x1f'], ['\x1f\x8b']])(
    'bytes after the end are damage: %j',
    async (tail) => {
      const after = Buffer.from(tail, 'latin1');
      await expect(read([small, after])).rejects.toEqual(corrupted);
      await expect(read([Buffer.concat([small, after])])).rejects.toEqual(corrupted);
      await expect(read(cut(Buffer.concat([small, after]), 'bytes'))).rejects.toEqual(corrupted);
      // Padding between members hides what follows it from zlib.
      const between = Buffer.concat([small, after, small]);
      await expect(read([between])).rejects.toEqual(corrupted);
      await expect(read(cut(between, 'bytes'))).rejects.toEqual(corrupted);
    },
  );

  test('a bomb fills no memory: nothing is read ahead of whoever reads', async () => {
    const bomb = gzipSync(Buffer.alloc(256 << 20), { level: 1 });
    const reader = createMemberReader(neverAborted());
    reader.on('error', () => undefined);
    reader.end(bomb);
    let still = 0;
    for (let last = -1; still < 500; still = reader.readableLength === last ? still + 1 : 0) {
      last = reader.readableLength;
      await turn();
    }
    expect(reader.readableLength).toBeGreaterThan(0);
    expect(reader.readableLength).toBeLessThanOrEqual(1 << 20);
    let bytes = 0;
    for await (const part of reader as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > 32 << 20) break;
    }
    expect(reader.destroyed).toBe(true);
  });

  test('a flipped bit never passes for the original', async () => {
    const original = await read([small]);
    for (let bit = 0; bit < small.length * 8; bit += 1) {
      const damaged = Buffer.from(small);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = await read([damaged]).catch((error: AppError) => error.code);
      // Flags, time and system in a member's header are not content.
      expect(result instanceof Buffer ? result.equals(original) : result).toBe(
        result instanceof Buffer ? true : 'BACKUP_CORRUPTED',
      );
    }
  });
});
