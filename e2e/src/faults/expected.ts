import type { FaultName } from './faults.ts';
import { type Point, STEPS, type Step } from './steps.ts';

/** How a restore may end, in the words of `restore_jobs` and, where that is `failed`, of its result. */
export type Outcome = 'completed' | 'rolled_back' | 'unchanged' | 'failed' | 'cancelled';

/** Which ends are right for a fault at a step; what else comes is a wrong cell. */
export function expectedOutcomes(step: Step, fault: FaultName, variant: string, point: Point): Outcome[] {
  const usual: Outcome = step === 'rollback' ? 'rolled_back' : 'completed';
  const upTo = (last: Step): boolean => STEPS.indexOf(step) <= STEPS.indexOf(last);
  switch (fault) {
    case 'worker killed':
    case 'worker frozen':
    case 'SSH cut':
    case 'queue gone':
      return [usual];
    case 'out of space':
      return [usual, 'rolled_back', 'unchanged'];
    case 'does not stop':
      // What refuses to stop once the new data is there shows when everything is to go back.
      if (step === 'rollback') return ['rolled_back', 'failed'];
      if (variant.endsWith('-new') || !upTo('stop_services')) return [usual];
      // The stop that was held may have been the last.
      return step === 'stop_services' ? ['rolled_back', usual] : ['rolled_back'];
    case 'does not start':
      if (step === 'rollback' || !upTo('restart_services')) return [usual];
      return step === 'restart_services' ? ['rolled_back', usual] : ['rolled_back'];
    case 'unhealthy':
      if (step === 'rollback' || !upTo('health_checks')) return [usual];
      return step === 'health_checks' ? ['rolled_back', usual] : ['rolled_back'];
    case 'archive corrupt':
      if (!upTo('prepare_data')) return [usual];
      // What was fetched before is whole.
      return step === 'prepare_data' && point.at !== 's3' ? ['unchanged', usual] : ['unchanged'];
    case 'storage unreachable':
      if (!upTo('prepare_data')) return [usual];
      if (variant === 'for good' && (step !== 'prepare_data' || point.at === 's3')) return ['unchanged'];
      return ['unchanged', usual];
    case 'cancelled':
      if (step === 'rollback') return ['rolled_back', 'cancelled'];
      return step === 'complete' ? ['completed'] : ['cancelled'];
  }
}
