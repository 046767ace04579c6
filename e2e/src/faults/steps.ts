import type { Call } from './gates.ts';

/** In the order of a restore; `rollback` is what follows a service that is unhealthy with the new data. */
export const STEPS = [
  'connect',
  'verify_integrity',
  'preflight',
  'prepare_data',
  'create_rollback',
  'stop_services',
  'restore_data',
  'restart_services',
  'health_checks',
  'complete',
  'rollback',
] as const;
export type Step = (typeof STEPS)[number];

/** A moment at which a restore can be held: in the network, in the storage, or in a program on the server. */
export type Point =
  | { at: 'ssh' }
  /** The n-th request for an archive: those of the verification come first. */
  | { at: 's3'; nth: number }
  /** `phase`: what the journal must say then, so that a change of how often it is written does not move the point. */
  | ({ at: 'call'; phase?: string } & Call);

const call = (when: Call['when'], program: string, nth = 1, text = ''): Point => ({
  ...{ at: 'call', when, program, nth, text },
});
/**
 * The journal is renamed into its place at each of its changes: preparing, what each of its parts is about to make and
 * what it made, stopping, applying, starting, ended.
 */
const JOURNAL = '/journal.json';
const SERVICES = 2;
const STOPPING = 2 + 2 * SERVICES;
const journal = (when: Call['when'], nth: number, phase: string): Point => ({
  ...{ at: 'call', when, program: 'mv', nth, text: JOURNAL, phase },
});

export const POINTS: Record<Step, readonly Point[]> = {
  connect: [{ at: 'ssh' }, call('before', 'mv', 1, '/fence'), call('after', 'mv', 1, '/fence')],
  verify_integrity: [
    { at: 's3', nth: 1 },
    { at: 's3', nth: 2 },
  ],
  preflight: [call('before', 'web-status'), call('after', 'cache-status')],
  prepare_data: [
    { at: 's3', nth: 3 },
    { at: 's3', nth: 4 },
    call('before', 'tar', 1, 'extract'),
    call('after', 'tar', 2, 'extract'),
    journal('before', 2, 'preparing'),
    journal('after', 2, 'preparing'),
    journal('before', STOPPING - 1, 'preparing'),
  ],
  create_rollback: [
    call('before', 'web-status', 2),
    journal('before', STOPPING, 'preparing'),
    journal('after', STOPPING, 'stopping'),
  ],
  stop_services: [
    call('before', 'web-stop'),
    call('after', 'web-stop'),
    call('before', 'cache-stop'),
    call('after', 'cache-stop'),
  ],
  restore_data: [
    journal('after', STOPPING + 1, 'applying'),
    ...[1, 2].flatMap((nth) => [
      call('before', 'rename', nth, '/old/'),
      call('after', 'rename', nth, '/old/'),
    ]),
    call('after', 'rename', 1, '/new/'),
    call('after', 'rename', 2, '/new/'),
    journal('before', STOPPING + 2, 'applying'),
  ],
  restart_services: [
    call('before', 'cache-start'),
    call('after', 'cache-start'),
    call('before', 'web-start'),
    call('after', 'web-start'),
  ],
  health_checks: [call('before', 'web-health'), call('after', 'cache-health')],
  complete: [
    journal('before', STOPPING + 3, 'starting'),
    journal('after', STOPPING + 3, 'ended'),
    call('before', 'rm', 1, '--one-file-system'),
    call('after', 'rm', 2, '--one-file-system'),
  ],
  rollback: [
    // Held after the health check has failed: the next change of the journal says that it goes back.
    journal('after', STOPPING + 3, 'undoing'),
    call('before', 'web-stop', 2),
    call('before', 'rename', 3, '/old/'),
    call('after', 'rename', 4, '/old/'),
    call('before', 'cache-start', 2),
    call('before', 'web-health', 3),
  ],
};

export function nameOf(point: Point): string {
  if (point.at === 'ssh') return 'the connection';
  if (point.at === 's3') return `archive request ${point.nth}`;
  return `${point.when} ${point.program}${point.text && ` ${point.text}`} ${point.nth}`;
}
