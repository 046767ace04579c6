/** The words that API and workers share: plans, events, results, error codes. */
export * from './database.ts';
export * from './destination-configs.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './hooks.ts';
export * from './ids.ts';
export * from './notifications.ts';
export * from './parse.ts';
export { PLAN_VERSION } from './plan-parts.ts';
export * from './plans.ts';
export * from './preview-result.ts';
export * from './restore-plans.ts';
export * from './results.ts';
export * from './retention.ts';
export * from './sealed.ts';
export * from './service-run.ts';
export * from './targets.ts';
export * from './verify-result.ts';
