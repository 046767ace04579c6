import { expect, test } from '@jest/globals';
import { type Manifest, manifestSha256, parseManifest, serializeManifest } from './manifest.ts';
import { artifactObjectName, indexObjectName } from './names.ts';

const id = (n: number): string => `0190f6c0-0000-7000-8000-${String(n).padStart(12, '0')}`;

function sample(): Manifest {
  return {
    format: 'tarfleet-backup',
    version: 2,
    backupId: id(1),
    projectId: 1,
    name: 'nightly',
    type: 'full',
    createdAt: '2026-01-02T03:04:05.000Z',
    completedAt: '2026-01-02T03:05:05.000Z',
    verifiedAt: null,
    software: { name: 'tarfleet', version: '0.1.0' },
    encryption: null,
    compression: { enabled: true, level: 6, blockBytes: 4194304 },
    artifacts: [
      {
        artifactId: id(2),
        attempt: 2,
        service: { id: id(3), name: 'web', type: 'files', component: 'files' },
        server: { id: id(4), name: 'one' },
        roots: ['/etc/näme', '/srv'],
        exclude: ['*.tmp'],
        object: {
          name: artifactObjectName(id(2), 2, 'Abc_-123'),
          bytes: 10,
          sha256: 'a'.repeat(64),
        },
        index: {
          name: indexObjectName(artifactObjectName(id(2), 2, 'Abc_-123')),
          ...{ bytes: 10, sha256: 'b'.repeat(64), entries: 2, files: 1, contentBytes: 5 },
        },
        parent: { backupId: id(7), artifactId: id(8) },
        ancestors: [{ backupId: id(7), artifactId: id(8) }],
        tarBytes: 10240,
        contentBytes: 5,
        files: 1,
        directories: 1,
        otherEntries: 0,
        warnings: 0,
        startedAt: '2026-01-02T03:04:06.000Z',
        endedAt: '2026-01-02T03:05:04.000Z',
      },
    ],
    failed: [
      {
        artifactId: id(6),
        serviceId: id(5),
        serviceName: 'db',
        component: 'database',
        code: 'PATH_NOT_FOUND',
        message: 'Gone.',
      },
    ],
  };
}

test('a manifest comes back as it was, from the same bytes each time', () => {
  const bytes = serializeManifest(sample());
  expect(parseManifest(bytes)).toEqual(sample());
  expect(serializeManifest(sample()).equals(bytes)).toBe(true);
  expect(manifestSha256(bytes)).toMatch(/^[0-9a-f]{64}$/);
});

test.each<[string, (manifest: Record<string, unknown> & Manifest) => void, RegExp]>([
  ['an unknown field', (m) => Object.assign(m, { extra: 1 }), /additional/],
  ['a missing list', (m) => Object.assign(m, { artifacts: undefined }), /artifacts/],
  [
    'a name that leads out',
    (m) => Object.assign(m.artifacts[0] ?? {}, { object: { ...m.artifacts[0]?.object, name: '../x' } }),
    /\/artifacts\/0\/object\/name/,
  ],
  ['an artifact twice', (m) => m.artifacts.push(...m.artifacts), /repeats/],
  ['a negative size', (m) => Object.assign(m.artifacts[0] ?? {}, { tarBytes: -1 }), /tarBytes/],
])('%s is damage, and named', (_what, spoil, fault) => {
  const manifest = sample() as Record<string, unknown> & Manifest;
  spoil(manifest);
  const bytes = Buffer.from(JSON.stringify(manifest));
  expect(() => parseManifest(bytes)).toThrow(
    expect.objectContaining({ code: 'BACKUP_CORRUPTED', message: expect.stringMatching(fault) }),
  );
});

test.each([
  [Buffer.alloc(0)],
  [Buffer.from('{"format":')],
  [Buffer.from([0xff, 0xfe])],
  [Buffer.from('null')],
])('what is no manifest is damage: %p', (bytes) => {
  expect(() => parseManifest(bytes)).toThrow(expect.objectContaining({ code: 'BACKUP_CORRUPTED' }));
});

test('a later version asks for a later program', () => {
  const later = Buffer.from(JSON.stringify({ ...sample(), version: 3, news: true }));
  expect(() => parseManifest(later)).toThrow(expect.objectContaining({ code: 'NOT_SUPPORTED' }));
});

test('one of version 1, which had no indexes, is read as one without', () => {
  const { artifacts, ...rest } = sample();
  const old = artifacts.map(({ index: _i, parent: _p, ancestors: _a, ...artifact }) => artifact);
  const bytes = Buffer.from(JSON.stringify({ ...rest, version: 1, artifacts: old }));
  const [artifact] = parseManifest(bytes).artifacts;
  expect(artifact).toEqual({ ...old[0], index: null, parent: null, ancestors: [] });
});

test('object names take no other characters', () => {
  expect(artifactObjectName(id(2), 1, 'token123')).toBe(`${id(2)}/1-token123.tar.gz`);
  expect(() => artifactObjectName(id(2), 1, '../x')).toThrow(TypeError);
  expect(() => artifactObjectName(id(2), 0, 'token123')).toThrow(TypeError);
});
