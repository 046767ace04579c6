import { expect, test } from '@jest/globals';
import type { ServiceRecord } from '@tarfleet/db';
import { pathsToKeep, planRun, targetsOf } from './restore-run.ts';

const service = (name: string, dataPaths: string[], change: Partial<ServiceRecord> = {}): ServiceRecord => ({
  ...{ id: `id-${name}`, serverId: 's', name, type: 'systemd', component: 'files', configPaths: [] },
  ...{ dataPaths, exclude: [], backupPriority: 0, dependsOn: [], settings: { unit: `${name}.service` } },
  ...{ createdAt: new Date(0), updatedAt: new Date(0) },
  ...change,
});
const files = (name: string, dataPaths: string[], change: Partial<ServiceRecord> = {}) =>
  service(name, dataPaths, { type: 'files', settings: {}, ...change });

const pg = service('pg', ['/var/lib/pg']);
const app = service('app', ['/srv/app'], { dependsOn: ['pg'] });
const nginx = service('nginx', ['/etc/nginx'], { dependsOn: ['static'] });
const all = [pg, app, nginx, files('static', ['/srv/www'], { dependsOn: ['app'] })];
const run = (...targets: string[]) => planRun(all, targets);

test('what is in the paths, around them, and all that depends on it is stopped, dependents first', () => {
  for (const target of ['/var/lib/pg', '/var/lib', '/var/lib/pg/base']) {
    const { run: planned, concerned } = run(target);
    expect(planned.stopOrder).toEqual([['id-nginx'], ['id-app'], ['id-pg']]);
    expect(planned.startOrder).toEqual([['id-pg'], ['id-app'], ['id-nginx']]);
    expect(planned.services.map(({ name }) => name).sort()).toEqual(['app', 'nginx', 'pg']);
    expect([...concerned].sort()).toEqual(['id-app', 'id-nginx', 'id-pg', 'id-static']);
  }
  expect(run('/etc/nginx').run.stopOrder).toEqual([['id-nginx']]);
  expect(run('/srv').run.stopOrder).toEqual([['id-nginx'], ['id-app']]);
});

test('elsewhere, and beside paths that only begin alike, nothing is stopped', () => {
  for (const target of ['/restored/var/lib/pg', '/var/lib/pg2', '/srv/app.old']) {
    expect(run(target)).toEqual({
      run: { services: [], stopOrder: [], startOrder: [] },
      concerned: [],
    });
  }
});

test('files have nothing to stop, but may have a check', () => {
  const check = { type: 'tcp', port: 80 };
  const checked = files('checked', ['/srv/one'], { settings: { health_check: check } });
  const planned = planRun([checked, files('plain', ['/srv/two'])], ['/srv']);
  expect(planned.run.services).toMatchObject([{ name: 'checked', runner: { kind: 'none' } }]);
  expect(planned.run.startOrder).toEqual([['id-checked']]);
  expect(planned.concerned).toEqual(['id-checked', 'id-plain']);
});

test('targets are the roots, what was chosen of them, and where they are put', () => {
  const roots = ['/etc/app', '/srv/app'];
  const targets = (paths: string[] | null, restorePath: string | null = null) =>
    targetsOf(roots, { paths, restorePath });
  expect(targets(null)).toEqual(roots);
  expect(targets(['/srv/app/data', '/srv/app/x'])).toEqual(['/srv/app/data', '/srv/app/x']);
  expect(targets(['/srv'])).toEqual(['/srv/app']);
  expect(targets(null, '/mnt')).toEqual(['/mnt/etc/app', '/mnt/srv/app']);
});

test('of services that are not restored, what lies inside stays', () => {
  const inner = files('inner', ['/srv/app/inner', '/var/inner']);
  const services = [app, inner];
  expect(pathsToKeep(services, ['/srv/app'], ['id-app'])).toEqual(['/srv/app/inner']);
  expect(pathsToKeep(services, ['/srv/app'], ['id-app', 'id-inner'])).toEqual([]);
  // Asked for by its own path, it is restored, whoever's backup holds it.
  expect(pathsToKeep(services, ['/srv/app/inner'], ['id-app'])).toEqual([]);
  expect(pathsToKeep(services, ['/srv/app/inner/deep'], ['id-app'])).toEqual([]);
});
