/** Before each further try, in seconds: the schedule that Standard Webhooks recommends. */
export const DEFAULT_PAUSES = '5,300,1800,7200,18000,36000,50400,72000,86400';

/** Of up to a tenth more, so that what failed together does not come back together. */
const JITTER = 0.1;

/** The text of a list, such as `5,300`, in seconds. */
export function parsePauses(text: string): number[] {
  return text.split(',').map(Number);
}

/** How long to wait after so many tries, in milliseconds; null when that was the last. */
export function pauseAfter(pauses: readonly number[], tries: number): number | null {
  const seconds = pauses[tries - 1];
  return seconds === undefined ? null : Math.round(seconds * 1000 * (1 + Math.random() * JITTER));
}
