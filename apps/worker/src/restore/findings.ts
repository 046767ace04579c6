import type { PreviewResult } from '@tarfleet/contracts';
import { AppError, toFailure } from '@tarfleet/kernel';
import type { SourceWarning } from '@tarfleet/sources';
import { isHandover } from './interruption.ts';

const MAX_WARNINGS = 100;

/** What a preview finds on its way, so that one fault does not keep it from telling the rest. */
export interface Findings {
  problems: PreviewResult['problems'];
  /** Each once. */
  warnings: string[];
  add(service: string | null, error: AppError): void;
  warn(warning: SourceWarning): void;
  /** Null when it failed, and the fault among the problems. The job's own end and faults of ours are thrown. */
  attempt<T>(service: string | null, action: () => Promise<T>): Promise<T | null>;
}

export function createFindings(signal: AbortSignal): Findings {
  const problems: PreviewResult['problems'] = [];
  const warnings: string[] = [];
  const add: Findings['add'] = (service, error) => {
    const failure = { ...toFailure(error), retryable: false };
    const isKnown = problems.some(
      (known) => known.service === service && known.failure.message === failure.message,
    );
    if (!isKnown) problems.push({ service, failure });
  };
  return {
    ...{ problems, warnings, add },
    warn({ message }) {
      if (warnings.length < MAX_WARNINGS && !warnings.includes(message)) warnings.push(message);
    },
    async attempt(service, action) {
      try {
        return await action();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AppError) || isHandover(error)) throw error;
        add(service, error);
        return null;
      }
    },
  };
}
