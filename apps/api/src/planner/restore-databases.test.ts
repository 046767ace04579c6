import { expect, test } from '@jest/globals';
import type { ArtifactRecord, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { restoredDatabases } from './restore-databases.ts';
import { databasePlace, pathsToKeep, planRun } from './restore-run.ts';

interface Wish {
  paths: string[] | null;
  restorePath: string | null;
  pathForFiles?: boolean;
}
const whole: Wish = { paths: null, restorePath: null };
const server = {
  id: 'server',
  name: 'box',
  projectId: 1,
  kind: 'local',
  pool: 'default',
  host: null,
  port: null,
};
let made = 0;
const service = (name: string, type: string, more: Partial<ServiceRecord> = {}): ServiceRecord => {
  made += 1;
  return {
    ...{ id: `0190f6c0-0000-7000-8000-${String(made).padStart(12, '0')}`, serverId: 'server', name, type },
    ...{
      component: 'database',
      configPaths: [],
      dataPaths: [],
      exclude: [],
      backupPriority: 0,
      dependsOn: [],
    },
    settings: { database: {} },
    ...{ createdAt: new Date(), updatedAt: new Date() },
    ...more,
  };
};
const artifact = (of: Partial<ArtifactRecord>): ArtifactRecord =>
  ({ backupMethod: 'pg_dump', serviceName: 'shop', serviceId: 'gone', ...of }) as ArtifactRecord;
const resolve = (services: ServiceRecord[], of: Partial<ArtifactRecord> = {}, wish = whole) =>
  restoredDatabases([artifact(of)], { server: server as unknown as ServerRecord, services }, wish);

test('a database goes into its own service, else one of its name, else the only one of its type', () => {
  const [own, named, other] = [service('x', 'postgres'), service('shop', 'postgres'), service('y', 'mysql')];
  expect(resolve([own, named, other], { serviceId: own.id }).places).toEqual([databasePlace(own)]);
  expect(resolve([own, named, other]).places).toEqual([databasePlace(named)]);
  expect(resolve([own, other]).databases).toMatchObject([
    { serviceId: 'gone', target: { type: 'postgres' } },
  ]);
  expect(resolve([own, other], { backupMethod: null })).toEqual({ databases: [], places: [] });
  for (const services of [[own, service('z', 'postgres')], [other], []]) {
    expect(() => resolve(services)).toThrow(/is to be restored to is not clear/);
  }
});

test('paths, another folder, and a redis that cannot be stopped are refused', () => {
  const services = [service('shop', 'postgres'), service('cache', 'redis')];
  for (const wish of [
    { ...whole, restorePath: '/else' },
    { paths: ['/srv'], restorePath: null },
  ]) {
    expect(() => resolve(services, {}, wish)).toThrow('a database is restored whole');
  }
  expect(() => resolve(services, { backupMethod: 'redis_rdb', serviceName: 'cache' })).toThrow(
    /stopped and started/,
  );
});

test('a folder for files leaves the databases beside them to their server, where there are files', () => {
  const own = service('shop', 'postgres');
  const wish: Wish = { ...whole, restorePath: '/else', pathForFiles: true };
  expect(() => resolve([own], {}, wish)).toThrow('a database is restored whole');
  const artifacts = [artifact({}), artifact({ backupMethod: null, serviceName: 'tree' })];
  const both = { server: server as unknown as ServerRecord, services: [own] };
  expect(restoredDatabases(artifacts, both, wish).places).toEqual([databasePlace(own)]);
  expect(() => restoredDatabases(artifacts, both, { ...wish, paths: ['/srv'] })).toThrow('restored whole');
});

test('what depends on a database stands still while it is replaced; the server itself runs', () => {
  const unit = (name: string, type: string, dependsOn: string[] = []) =>
    service(name, type, { dependsOn, settings: { database: {}, unit: `${name}.service` } });
  const [pg, app, cache, apart] = [
    unit('pg', 'postgres'),
    unit('app', 'systemd', ['pg']),
    unit('cache', 'redis'),
    unit('apart', 'systemd'),
  ];
  const all = [pg, app, cache, apart];
  const postgres = planRun(all, [databasePlace(pg)]);
  expect(postgres.run.stopOrder).toEqual([[app.id]]);
  expect(postgres.concerned.sort()).toEqual([pg.id, app.id].sort());
  const redis = planRun(all, [databasePlace(cache)]);
  expect([redis.run.stopOrder, redis.concerned]).toEqual([[[cache.id]], [cache.id]]);
  expect(pathsToKeep(all, ['/'], [])).toEqual([]);
});
