import { expect, test } from '@jest/globals';
import type { CreateBody } from './create-schemas.ts';
import { normaliseCreate, normaliseDates, normaliseRestore } from './normalise.ts';
import type { RestoreBody } from './restore-schemas.ts';

const create = (body: object) => normaliseCreate({ type: 'full', ...body } as CreateBody);
const restore = (body: object) => normaliseRestore({ restoreType: 'full', ...body } as RestoreBody);
const codeOf = (action: () => unknown): string | undefined => {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

test('a backup without options is a full, verified, compressed, encrypted one for ninety days', () => {
  expect(create({})).toEqual({
    ...{
      dialect: 'botserver',
      name: null,
      description: null,
      components: null,
      services: null,
      serverId: null,
      type: 'full',
    },
    ...{ destinationId: null, retentionDays: null, verify: true, compression: { enabled: true, level: 6 } },
    ...{ deduplicate: false, encrypt: true, copyTo: [] },
    warnings: [],
  });
});

test('what is given is kept, also where it is false or null-like', () => {
  const body = { name: 'n', components: ['database'], services: ['x'], retention_days: 1, verify: false };
  expect(
    create({ ...body, compress: false, compression_level: 1, deduplicate: true, encrypt: false }),
  ).toMatchObject({
    ...{
      name: 'n',
      components: ['database'],
      services: ['x'],
      retentionDays: 1,
      verify: false,
      warnings: [],
    },
    compression: { enabled: false, level: 1 },
    ...{ deduplicate: true, encrypt: false },
  });
});

test('what this version cannot do is refused, never left out in silence', () => {
  for (const body of [{ type: 'transaction' }]) {
    expect([body, codeOf(() => create(body))]).toEqual([body, 'NOT_SUPPORTED']);
  }
  expect(codeOf(() => create({ type: 'half' }))).toBe('INVALID_BACKUP_TYPE');
});

test('a restore to the original paths replaces what is there, with a way back and health checks', () => {
  expect(restore({})).toEqual({
    ...{ services: null, paths: null, restorePath: null, overwrite: true, verifyIntegrity: true },
    ...{ rollback: true, healthChecks: true, dropExisting: false, warnings: [] },
  });
  const quick = { verifyIntegrity: false, createRollbackPoint: false, skipHealthChecks: true };
  expect(restore(quick)).toMatchObject({ verifyIntegrity: false, rollback: false, healthChecks: false });
});

test('elsewhere, or when told so, what exists stays, and the answer says so', () => {
  for (const body of [{ restorePath: '/elsewhere/' }, { overwrite: false }]) {
    expect(restore(body)).toMatchObject({ overwrite: false, warnings: [expect.any(String)] });
  }
  expect(restore({ restorePath: '/a//b/' }).restorePath).toBe('/a/b');
  expect(restore({ restorePath: '/a', overwrite: true })).toMatchObject({ overwrite: true, warnings: [] });
  expect(restore({ restorePath: '/' })).toMatchObject({ restorePath: null, overwrite: true });
  expect(codeOf(() => restore({ restorePath: '/a/../b' }))).toBe('VALIDATION_FAILED');
});

test('paths are in their plain form, and the root of all is everything', () => {
  expect(restore({}).paths).toBeNull();
  expect(restore({ paths: ['/srv/', '//srv/./a//b/.', '/c '] }).paths).toEqual(['/srv', '/srv/a/b', '/c ']);
  for (const path of ['/', '//', '/.', '/./']) {
    expect(restore({ paths: [path] }).paths).toBeNull();
    expect(restore({ paths: ['/srv', path] }).paths).toBeNull();
  }
  for (const path of ['/..', '/srv/../etc', '/srv/..']) {
    expect(codeOf(() => restore({ paths: [path] }))).toBe('VALIDATION_FAILED');
  }
});

test('selected services and a selective restore go together', () => {
  expect(restore({ restoreType: 'selective', selectedServices: ['a'] }).services).toEqual(['a']);
  expect(codeOf(() => restore({ restoreType: 'selective' }))).toBe('VALIDATION_FAILED');
  expect(codeOf(() => restore({ selectedServices: ['a'] }))).toBe('VALIDATION_FAILED');
});

test('a day without a time is the whole day', () => {
  expect(normaliseDates({ start_date: '2026-11-21', end_date: '2026-11-21' } as never)).toEqual({
    from: new Date('2026-11-21T00:00:00.000Z'),
    to: new Date('2026-11-21T23:59:59.999Z'),
  });
  const end_date = '2026-11-21T00:00:00Z';
  expect(normaliseDates({ end_date } as never)).toEqual({ to: new Date(end_date) });
});

test('dates are dates', () => {
  expect(normaliseDates({} as never)).toEqual({});
  expect(normaliseDates({ start_date: '2026-01-31' } as never)).toEqual({ from: new Date('2026-01-31') });
  const start_date = '2026-01-31T08:00:00';
  expect(normaliseDates({ start_date } as never)).toEqual({ from: new Date(`${start_date}Z`) });
  expect(normaliseDates({ start_date: `${start_date}+02:00` } as never)).toEqual({
    from: new Date('2026-01-31T06:00:00Z'),
  });
  for (const end_date of [
    'yesterday',
    '2026-13-01',
    '2026-02-30',
    '2026-01-31 10:00',
    '2026-01-31T25:00',
    '5',
  ]) {
    expect(codeOf(() => normaliseDates({ end_date } as never))).toBe('VALIDATION_FAILED');
  }
});
