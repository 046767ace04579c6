import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createInput, createRelay } from './streams.ts';

test('a relay ends only when its source has ended and the end is confirmed', async () => {
  const source = new PassThrough();
  const relay = createRelay(source, Buffer.from('head '), () => undefined);
  let text = '';
  let ended = false;
  relay.stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  relay.stream.on('end', () => {
    ended = true;
  });
  source.end('tail');
  await turn();
  await turn();
  expect([text, ended]).toEqual(['head tail', false]);
  relay.confirmEnd();
  await turn();
  expect(ended).toBe(true);
});

test('a source that just stops is an error for the reader', async () => {
  const source = new PassThrough();
  const relay = createRelay(source, Buffer.alloc(0), () => undefined);
  const reading = relay.stream.toArray();
  source.end('half of it');
  await turn();
  relay.fail(new Error('cut'));
  await expect(reading).rejects.toThrow('cut');
});

test('only a reader who leaves early abandons a relay', async () => {
  const left: string[] = [];
  const make = (name: string) => {
    const source = new PassThrough();
    return { source, relay: createRelay(source, Buffer.alloc(0), () => left.push(name)) };
  };
  const early = make('early');
  early.relay.stream.destroy();
  const failed = make('failed');
  failed.relay.fail(new Error('cut'));
  const whole = make('whole');
  whole.source.end('all');
  whole.relay.confirmEnd();
  await whole.relay.stream.toArray();
  await turn();
  expect(left).toEqual(['early']);
});

test('input that is not taken fails, input that is taken does not', async () => {
  const taken = new PassThrough();
  const done = createInput(taken);
  done.stream.end('all');
  expect((await taken.toArray()).join('')).toBe('all');
  done.close();
  expect(done.stream.errored).toBeNull();
  const open = createInput(new PassThrough());
  open.stream.write('some');
  open.close();
  await turn();
  expect(open.stream.errored).toMatchObject({ code: 'COMMAND_FAILED' });
});
