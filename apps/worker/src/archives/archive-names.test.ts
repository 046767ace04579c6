import { describe, expect, test } from '@jest/globals';
import { uuid } from '../testing.ts';
import { keyOf, nameFrom } from './archive-names.ts';

const prefix = `project-1/2026-01-05/${uuid(1)}`;
const archive = (name: string, ids: { backupId?: string; artifactId?: string } = {}) => ({
  ...{ name, backupId: uuid(1), artifactId: uuid(2), ...ids },
  ...{ bytes: 1, blockBytes: 512, members: 1 },
});
const other = { backupId: uuid(3), artifactId: uuid(4) };

describe('a name leads to the archive that it was made for', () => {
  test.each([
    ['its own', `${prefix}/${uuid(2)}/1-abc.tar.gz`, {}, `${uuid(2)}/1-abc.tar.gz`],
    [
      "another backup's of the same day",
      `project-1/2026-01-05/${uuid(3)}/${uuid(4)}/2-x.tar.gz.enc`,
      other,
      `../${uuid(3)}/${uuid(4)}/2-x.tar.gz.enc`,
    ],
    [
      "another day's",
      `project-1/2025-12-31/${uuid(3)}/${uuid(4)}/2-x.tar.gz`,
      other,
      `../../2025-12-31/${uuid(3)}/${uuid(4)}/2-x.tar.gz`,
    ],
  ])('%s', (_what, key, ids, name) => {
    expect(nameFrom(prefix, key)).toBe(name);
    expect(keyOf(prefix, archive(name, ids))).toBe(key);
  });

  test('also where the reader is another backup than the writer', () => {
    const key = `project-1/2025-12-31/${uuid(3)}/${uuid(4)}/2-x.tar.gz`;
    for (const from of [prefix, `project-1/2025-12-31/${uuid(9)}`, `project-1/${uuid(9)}`]) {
      expect(keyOf(from, archive(nameFrom(from, key), other))).toBe(key);
    }
  });
});

describe('a name that leads elsewhere is refused', () => {
  const inside = `${uuid(2)}/1-abc.tar.gz`;
  test.each([
    ['out of the project', `../../../project-2/2026-01-05/${uuid(1)}/${inside}`],
    ['to a project whose number begins alike', `../../../project-10/2026-01-05/${uuid(1)}/${inside}`],
    ['out of the destination', `../../../../${uuid(1)}/${inside}`],
    ['far out of the destination', `${'../'.repeat(40)}etc/${uuid(1)}/${inside}`],
    ['out of it in the middle', `a/../../../../project-2/${uuid(1)}/${inside}`],
    ['to the whole project', `../../${uuid(2)}/1-abc.tar.gz`],
    ['to another backup', `../${uuid(3)}/${inside}`],
    ['to another artifact', `${uuid(4)}/1-abc.tar.gz`],
    ['to another artifact by way of its own', `${uuid(2)}/../${uuid(4)}/1-abc.tar.gz`],
    ['to the manifest', '../manifest.tar.gz'],
    ['to a folder that only ends like its own', `x${uuid(2)}/1-abc.tar.gz`],
    ['to a folder that only begins like its own', `${uuid(2)}x/1-abc.tar.gz`],
  ])('%s', (_what, name) => {
    expect(() => keyOf(prefix, archive(name))).toThrow(
      expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' }),
    );
  });

  test('though it is right for the ids of another', () => {
    const name = `../${uuid(3)}/${uuid(4)}/1-abc.tar.gz`;
    keyOf(prefix, archive(name, other));
    for (const ids of [{}, { ...other, backupId: uuid(1) }, { ...other, artifactId: uuid(2) }]) {
      expect(() => keyOf(prefix, archive(name, ids))).toThrow(/not the one it says/);
    }
  });
});
