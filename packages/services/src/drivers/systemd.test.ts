/** The systemd driver against a stand-in that answers as systemctl's manual says; systemd cannot run here. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { SystemdRunner } from '@tarfleet/contracts';
import { calm, quick, startServer, type TestServer } from '../testing/world.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer(['systemctl']);
});
afterAll(() => server.stop());

const unit = 'web@1.service';
const runner: SystemdRunner = { kind: 'systemd', unit, stopSeconds: 30, startSeconds: 30 };
const unitState = (ActiveState: string, SubState: string, more: object = {}) => ({
  ...{ LoadState: 'loaded', ActiveState, SubState, Result: 'success', InvocationID: 'one', ...more },
});
const ACTIVE = unitState('active', 'running');
const DEAD = unitState('inactive', 'dead');
const FAILED = unitState('failed', 'failed', { Result: 'exit-code' });
const only = (states: object[], more: object = {}) => server.set({ units: { [unit]: { states, ...more } } });

const PROPERTIES = 'LoadState,ActiveState,SubState,Result,InvocationID,TriggeredBy';
const SHOW = ['systemctl', '--no-pager', 'show', `--property=${PROPERTIES}`, '--', unit];
const STOP = ['systemctl', '--no-ask-password', 'stop', '--', unit];
const START = ['systemctl', '--no-ask-password', 'start', '--', unit];

test.each([
  [ACTIVE, 'running', true, 'active (running)'],
  [unitState('reloading', 'reload'), 'running', true, 'reloading (reload)'],
  [unitState('activating', 'start-pre'), 'changing', true, 'activating (start-pre)'],
  [
    unitState('activating', 'auto-restart', { Result: 'exit-code' }),
    ...(['changing', true, 'activating (auto-restart), result: exit-code'] as const),
  ],
  [unitState('deactivating', 'stop-sigterm'), 'changing', true, 'deactivating (stop-sigterm)'],
  [DEAD, 'stopped', false, 'inactive (dead)'],
  [FAILED, 'failed', false, 'failed (failed), result: exit-code'],
  [
    unitState('inactive', 'dead', { LoadState: 'masked' }),
    ...(['stopped', false, 'inactive (dead), the unit is masked'] as const),
  ],
  [unitState('dreaming', 'deep'), 'unknown', false, 'dreaming (deep)'],
])('of a unit that is %j the state is %s', async (state, status, up, detail) => {
  await only([state]);
  expect(await server.of(runner).state(calm)).toEqual({ status, up, detail, run: 'one' });
  expect(await server.commands()).toEqual([SHOW]);
});

test('a unit that is not there, and a server without systemd', async () => {
  await server.set({ units: {} });
  await expect(server.of(runner).state(calm)).rejects.toMatchObject({
    code: 'SERVICE_NOT_FOUND',
    message: expect.stringContaining(unit),
  });
  await server.set({ down: true });
  expect(await server.of(runner).state(calm)).toMatchObject({
    ...{ status: 'unknown', detail: expect.stringContaining('not been booted with systemd') },
  });
  await expect(server.of(runner).stop(calm)).rejects.toMatchObject({ code: 'SERVICE_STATE_UNKNOWN' });
});

test('it is stopped and started, and looked at before and after', async () => {
  const stopping = unitState('deactivating', 'stop-sigterm');
  await only([ACTIVE], {
    stop: { states: [stopping, DEAD] },
    start: { states: [unitState('activating', 'start'), { ...ACTIVE, InvocationID: 'two' }] },
  });
  expect(await server.of(runner).stop(calm)).toMatchObject({ status: 'stopped' });
  expect(await server.commands()).toEqual([SHOW, SHOW, STOP, SHOW, SHOW]);
  expect(await server.of(runner).start(calm)).toMatchObject({ status: 'running', run: 'two' });
  expect((await server.commands()).slice(5, 7)).toEqual([SHOW, START]);
});

test('a unit that ends badly when it is stopped is stopped all the same', async () => {
  await only([ACTIVE], { stop: { states: [unitState('failed', 'failed', { Result: 'timeout' })] } });
  expect(await server.of(runner).stop(calm)).toMatchObject({ status: 'failed', up: false });
});

test.each([
  ['masked', { LoadState: 'masked' }, /is masked, so it could not be started again/],
  ['gone', { LoadState: 'not-found' }, /is not-found, so/],
])('one that runs but is %s is not stopped', async (_, more, message) => {
  await only([unitState('active', 'running', more)]);
  await expect(server.of(runner).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringMatching(message),
  });
  expect((await server.commands()).some((words) => words.includes('stop'))).toBe(false);
});

test('one that a socket would start again is not stopped, one whose socket is off is', async () => {
  const web = { states: [unitState('active', 'running', { TriggeredBy: 'web.socket web.path' })] };
  const world = (socket: string) => ({
    units: {
      [unit]: { ...web, stop: { states: [DEAD] } },
      'web.socket': { states: [{ ActiveState: socket }] },
      'web.path': { states: [{ ActiveState: 'inactive' }] },
    },
  });
  await server.set(world('active'));
  await expect(server.of(runner).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringMatching(/would be started again by web\.socket\. /),
  });
  const asked = ['systemctl', 'is-active', '--', 'web.socket', 'web.path'];
  expect(await server.commands()).toEqual([SHOW, SHOW, asked]);
  await server.set(world('inactive'));
  expect(await server.of(runner).stop(calm)).toMatchObject({ status: 'stopped' });
});

const JOB_FAILED = `Job for ${unit} failed because the control process exited with error code.
See "systemctl status ${unit}" and "journalctl -xeu ${unit}" for details.`;

test.each([
  ['fails', { error: JOB_FAILED, states: [FAILED] }, /Job for web@1.service failed.*Now: failed/],
  ['is masked', { error: `Failed to start ${unit}: Unit ${unit} is masked.` }, /is masked/],
  ['ends at once', { states: [FAILED] }, /does not run after its start\. Now: failed.*journalctl -n 50 -u/],
  ['is done at once', { states: [DEAD] }, /does not run after its start\. Now: inactive/],
  ['runs for a moment', { states: [ACTIVE, FAILED] }, /started and ended at once/],
  ['has restarted', { states: [ACTIVE, { ...ACTIVE, InvocationID: 'two' }] }, /and was started again/],
])('a start that %s fails', async (_, start, message) => {
  await only([DEAD], { start });
  await expect(server.of(runner).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringMatching(message),
  });
});

test('a start that never gets there fails at its limit', async () => {
  await only([DEAD], { start: { states: [unitState('activating', 'start')] } });
  await expect(server.of({ ...runner, startSeconds: 3 }).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringContaining('does not run 3 s after it was started. Now: activating (start)'),
  });
});

test('a stop that hangs, and a stop after which it still runs', async () => {
  await only([ACTIVE], { stop: 'hang' });
  await expect(server.of({ ...runner, stopSeconds: 1 }).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringContaining('did not end within 1 s: still at it. Now: active (running)'),
  });
  await only([ACTIVE], { stop: {} });
  await expect(server.of({ ...runner, stopSeconds: 3 }).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringContaining('still runs 3 s after it was told to stop'),
  });
});

test('an abort and a cut connection end a start', async () => {
  const other = await startServer(['systemctl']);
  const begun = async () => {
    while (!(await other.commands()).some((words) => words.includes('start'))) {
      await server.session.run(['sleep', '0.05'], { signal: calm });
    }
  };
  const world = { units: { [unit]: { states: [DEAD], start: 'hang' } } };
  await other.set(world);
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = expect(other.of(runner).start(controller.signal)).rejects.toBe(reason);
  await begun();
  controller.abort(reason);
  await aborted;
  await other.set(world);
  const cut = expect(other.of(runner).start(calm)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await begun();
  await other.sshd.cutConnections();
  await cut;
  await other.stop();
});

test('a check of a unit, its own or another', async () => {
  const look = (healthCheck: ReturnType<typeof quick>) => server.of(runner, { healthCheck }).health(calm);
  await only([unitState('activating', 'start'), ACTIVE]);
  expect(await look(quick({ type: 'unit', unit }))).toEqual({
    ...{ healthy: true, tries: 2, detail: 'web@1.service is active (running)' },
  });
  await server.set({ units: { [unit]: { states: [ACTIVE] }, 'db.service': { states: [FAILED] } } });
  expect(await look(quick({ type: 'unit', unit: 'db.service' }))).toEqual({
    ...{ healthy: false, tries: 3, reason: 'db.service is failed (failed), result: exit-code' },
  });
});
