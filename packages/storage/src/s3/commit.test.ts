import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { assertStored, md5, multipartEtag, whatIsThere } from './commit.ts';
import type { S3Calls } from './s3-calls.ts';

const never = new AbortController().signal;
const expected = { key: 'a', bytes: 10, etag: 'd41d8' };

/** A server that has just one answer to the only question asked here. */
function server(head: () => Promise<object>): S3Calls {
  return { headObject: head } as unknown as S3Calls;
}

test('a stored object of another size than was sent is a fault worth another try', async () => {
  await assertStored(
    server(async () => ({ ContentLength: 10 })),
    expected,
    never,
  );
  for (const head of [{ ContentLength: 9 }, { ContentLength: 11 }, {}]) {
    await expect(
      assertStored(
        server(async () => head),
        expected,
        never,
      ),
    ).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      retryable: true,
    });
  }
});

test('only an object of our size and ETag is ours', async () => {
  const found = (head: object): Promise<string> =>
    whatIsThere(
      server(async () => head),
      expected,
      never,
    );
  expect(await found({ ContentLength: 10, ETag: '"d41d8"' })).toBe('ours');
  expect(await found({ ContentLength: 9, ETag: '"d41d8"' })).toBe('other');
  expect(await found({ ContentLength: 10, ETag: '"e41d8"' })).toBe('other');
  expect(await found({ ContentLength: 10 })).toBe('other');
  const missing = new AppError('OBJECT_NOT_FOUND', 'no');
  expect(
    await whatIsThere(
      server(() => Promise.reject(missing)),
      expected,
      never,
    ),
  ).toBe('none');
  const down = new AppError('DESTINATION_UNREACHABLE', 'no');
  await expect(
    whatIsThere(
      server(() => Promise.reject(down)),
      expected,
      never,
    ),
  ).rejects.toBe(down);
});

test("a multipart ETag is the MD5 of the parts' MD5s and their number", () => {
  const parts = [Buffer.from('one'), Buffer.from('two')];
  const whole = createHash('md5');
  for (const part of parts) whole.update(createHash('md5').update(part).digest());
  expect(multipartEtag(parts.map(md5))).toBe(`${whole.digest('hex')}-2`);
});
