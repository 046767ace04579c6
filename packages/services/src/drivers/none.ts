import { type Driver, stateOf } from './driver.ts';

const NOTHING_DONE = { code: 0, timedOut: false, stdout: '', words: '', how: 'exited with code 0' };

/** Files alone: nothing runs, so nothing is ever stopped or started. */
export function createNoneDriver(): Driver {
  return {
    state: async () => stateOf('stopped', 'nothing to stop: files alone'),
    stop: async () => NOTHING_DONE,
    start: async () => NOTHING_DONE,
    stopSeconds: 1,
    startSeconds: 1,
    startsBeforeReturning: true,
    lookAt: 'its configuration',
  };
}
