import { expect, test } from '@jest/globals';
import { createMemberReader } from './member-reader.ts';
import { createMemberStream } from './member-stream.ts';

const options = { enabled: true, level: 6, parallel: 1 };

test.each([
  ['a writer of members', (signal: AbortSignal) => createMemberStream(options, signal)],
  ['a reader of members', (signal: AbortSignal) => createMemberReader(signal)],
])(
  '%s that is aborted before anybody pipes it keeps the reason and ends no process',
  async (_name, create) => {
    const reason = new Error('given up');
    const late = new AbortController();
    const stream = create(late.signal);
    const closed = new Promise((resolve) => void stream.once('close', resolve));
    late.abort(reason);
    await closed;
    expect(stream.errored).toBe(reason);

    const early = create(AbortSignal.abort(reason));
    await new Promise((resolve) => void early.once('close', resolve));
    expect(early.errored).toBe(reason);
  },
);
