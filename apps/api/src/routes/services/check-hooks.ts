import type { ServiceRecord } from '@tarfleet/db';
import type { Fault } from '../../plugins/faults.ts';
import { checkCommand } from './check-run.ts';
import type { Hooks } from './database-schemas.ts';

/** What is stored was checked before. */
export function readHooks({ settings }: Pick<ServiceRecord, 'settings'>): Hooks | null {
  return (settings.hooks as Hooks | undefined) ?? null;
}

/** What is wrong with the commands around a service's backups. */
export function checkHooks(hooks: Hooks | null): Fault[] {
  return (['before', 'after'] as const).flatMap((which) => {
    const command = hooks?.[which]?.command;
    return command ? checkCommand(`body/hooks/${which}/command`, command) : [];
  });
}
