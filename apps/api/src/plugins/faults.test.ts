import { expect, test } from '@jest/globals';
import { Type } from 'typebox';
import { strict, Uuid } from '../routes/shapes.ts';
import { invalid } from './faults.ts';
import { createBodyReader } from './validation.ts';

test('a pattern is told in words, also where the description tells what the field is for', () => {
  const read = createBodyReader(
    strict({
      id: Uuid,
      destination_id: Type.String({ ...Uuid, description: 'Where to; left out, the default destination' }),
      paths: Type.Array(Type.String({ pattern: '^/[^\\u0000]*$' })),
      folder: Type.String({ pattern: '^/', description: 'Where it is put' }),
      name: Type.String({ pattern: '^[a-z]+$', description: 'small letters' }),
    }),
  );
  const bad = { id: 'a', destination_id: 'abc123', paths: ['relative'], folder: 'relative', name: '1' };
  expect(() => read(bad)).toThrow(
    expect.objectContaining({
      details: [
        { path: 'body/id', message: 'must be a UUID' },
        { path: 'body/destination_id', message: 'must be a UUID' },
        { path: 'body/paths/0', message: 'must be an absolute path' },
        { path: 'body/folder', message: 'must be an absolute path' },
        { path: 'body/name', message: 'must be: small letters' },
      ],
    }),
  );
});

test('a sentence has one full stop', () => {
  const { message } = invalid([{ path: 'body/cron', message: 'is not valid: x is no cron pattern.' }]);
  expect(message).toBe('The request is not valid: body/cron is not valid: x is no cron pattern.');
});
