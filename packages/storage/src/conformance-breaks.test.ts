// What every destination owes, run over each driver, when bodies break, writers are cancelled and readers leave.

import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { timeLimit } from '@tarfleet/kernel';
import { failing, MIB, never, pieces, stalling, subjects, useSubject } from './testing-subjects.ts';

describe.each(subjects)('%s', (_name, create) => {
  const here = useSubject(create);
  const { read, put, listed, expectNothingOf } = here;

  test('an abort before anybody reads waits in the stream and ends no process', async () => {
    await here.storage.put('unread', Readable.from([Buffer.from('content')]), { signal: never });
    const given = new AbortController();
    const reason = new Error('given up');
    const body = await here.storage.get('unread', { signal: given.signal });
    const closed = new Promise((resolve) => void body.once('close', resolve));
    given.abort(reason);
    await closed;
    expect(body.errored).toBe(reason);
  });
  test.each([0, 3 * MIB, 18 * MIB])('a body that fails after %d bytes leaves nothing', async (bytes) => {
    const error = new Error('the source broke');
    const body = failing(bytes, error);
    await expect(here.storage.put('broken/object', body, { signal: never })).rejects.toBe(error);
    expect(body.destroyed).toBe(true);
    await expectNothingOf('broken');
  });

  test('a body that was destroyed before, or ends without its end, is an error', async () => {
    const early = Readable.from(pieces(randomBytes(100)), { objectMode: false });
    early.destroy();
    await expect(here.storage.put('early/object', early, { signal: never })).rejects.toThrow();
    const late = stalling(9 * MIB, () => late.destroy());
    await expect(here.storage.put('early/object', late, { signal: never })).rejects.toThrow();
    await expectNothingOf('early');
  });

  test.each([0, 3 * MIB, 18 * MIB])('an abort after %d bytes leaves nothing', async (bytes) => {
    const reason = new Error('cancelled by a user');
    const abort = new AbortController();
    const body = stalling(bytes, () => abort.abort(reason));
    await expect(here.storage.put('aborted/object', body, { signal: abort.signal })).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    await expectNothingOf('aborted');
  });

  test('aborts at any moment leave either nothing or the whole object', async () => {
    const content = randomBytes(17 * MIB);
    for (const delay of [0, 5, 20, 40, 60, 80, 120, 200]) {
      const key = `moments/${delay}`;
      const abort = timeLimit(delay);
      const body = Readable.from(pieces(content), { objectMode: false });
      const outcome = await here.storage.put(key, body, { signal: abort }).then(
        () => 'stored',
        (error: unknown) => (error === abort.reason ? 'aborted' : error),
      );
      if (outcome === 'stored') expect((await read(key)).equals(content)).toBe(true);
      else expect(outcome).toBe('aborted');
      await here.storage.delete(key, never);
      await expectNothingOf('moments');
    }
  });

  test('a signal that is already aborted starts nothing', async () => {
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    const body = Readable.from(pieces(Buffer.from('x')), { objectMode: false });
    await expect(here.storage.put('late/object', body, { signal })).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    await expect(here.storage.create('late/object', Buffer.from('x'), signal)).rejects.toBe(reason);
    await expect(here.storage.get('late/object', { signal })).rejects.toBe(reason);
    await expect(here.storage.stat('late/object', signal)).rejects.toBe(reason);
    await expect(here.storage.delete('late/object', signal)).rejects.toBe(reason);
    await expect(here.storage.check(signal)).rejects.toBe(reason);
    await expectNothingOf('late');
  });

  test.each([3, 9 * MIB])('a refusal before the commit of %d bytes leaves nothing', async (bytes) => {
    const refusal = new Error('another attempt has taken over');
    let seen = false;
    const body = Readable.from(pieces(randomBytes(bytes)), { objectMode: false });
    const beforeCommit = async (): Promise<void> => {
      seen = true;
      expect(await here.storage.stat('refused/object', never)).toBeNull();
      throw refusal;
    };
    await expect(here.storage.put('refused/object', body, { signal: never, beforeCommit })).rejects.toBe(
      refusal,
    );
    expect(seen).toBe(true);
    await expectNothingOf('refused');
  });

  test('a refused or broken replacement leaves the object that was there', async () => {
    const content = randomBytes(9 * MIB);
    await put('kept/object', content);
    const error = new Error('no');
    await expect(here.storage.put('kept/object', failing(9 * MIB, error), { signal: never })).rejects.toBe(
      error,
    );
    const beforeCommit = (): Promise<void> => Promise.reject(error);
    const body = Readable.from([Buffer.from('new')], { objectMode: false });
    await expect(here.storage.put('kept/object', body, { signal: never, beforeCommit })).rejects.toBe(error);
    expect((await read('kept/object')).equals(content)).toBe(true);
    expect((await here.everything()).filter((found) => found.startsWith('kept/'))).toEqual(['kept/object']);
  });

  test('an object is not seen before it is whole', async () => {
    const body = Readable.from(pieces(randomBytes(17 * MIB)), { objectMode: false });
    const beforeCommit = async (): Promise<void> => {
      expect(await here.storage.stat('unseen/object', never)).toBeNull();
      expect(await listed('unseen')).toEqual([]);
    };
    await here.storage.put('unseen/object', body, { signal: never, beforeCommit });
    expect(await listed('unseen')).toEqual(['unseen/object']);
  });

  test('unfinished uploads of a dead writer are found and ended, and no object with them', async () => {
    await put('sweep/done', Buffer.from('done'));
    await put('sweep-not/done', Buffer.from('done'));
    const abort = new AbortController();
    const stalled: Promise<unknown>[] = [];
    for (const key of ['sweep/one', 'sweep/deep/two', 'sweep-not/three']) {
      await new Promise<void>((resolve) => {
        const body = stalling(9 * MIB, resolve);
        stalled.push(here.storage.put(key, body, { signal: abort.signal }).catch((error: unknown) => error));
      });
    }
    // A destination may learn of an upload by its first part alone, which is still on its way.
    const arrived = async (): Promise<number> =>
      (await here.everything()).filter((found) => /\b(one|two|three)\b/.test(found)).length;
    while ((await arrived()) < 3) await sleep(50);
    const unfinished: string[] = [];
    for await (const upload of here.storage.listUploads('sweep', never)) {
      expect(upload.foreign).toBe(false);
      unfinished.push(upload.key);
    }
    expect(unfinished.sort()).toEqual(['sweep/deep/two', 'sweep/one']);
    expect(await here.storage.abortUploads('sweep', never)).toBe(2);
    expect(await here.storage.abortUploads('sweep', never)).toBe(0);
    expect((await here.everything()).filter((found) => found.startsWith('sweep/'))).toEqual(['sweep/done']);
    expect((await here.everything()).filter((found) => found.includes('three'))).toHaveLength(1);
    abort.abort(new Error('end of the test'));
    await Promise.all(stalled);
    await expectNothingOf('three');
  });

  test('a read that is given up ends with the reason', async () => {
    const reason = new Error('enough');
    const abort = new AbortController();
    await put('given-up/object', randomBytes(9 * MIB));
    const stream = await here.storage.get('given-up/object', { signal: abort.signal });
    const reading = (async () => {
      for await (const _chunk of stream) abort.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    expect(stream.destroyed).toBe(true);
  });

  test('a reader may destroy its stream, and read slowly', async () => {
    const content = randomBytes(9 * MIB);
    await put('slow/object', content);
    (await here.storage.get('slow/object', { signal: never })).destroy();
    const stream = await here.storage.get('slow/object', { signal: never });
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });
});
