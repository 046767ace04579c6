/** One number of a bench, beside the number that it is measured against. */
export interface Figure {
  bench: string;
  figure: string;
  ours: number;
  /** Of another program or a bound, in the same unit; null where there is nothing to compare with. */
  other: number | null;
  /** `ours / other`. */
  ratio: number | null;
}

export interface BenchContext {
  /** Aborted at SIGINT: every wait ends then. */
  signal: AbortSignal;
  say(text: string): void;
  /** What is to be stopped when the bench is over, however it ends; the last one first. */
  own<T extends { stop(): Promise<void> }>(one: T): T;
  /** A new folder that is gone when the bench is over. Open to other users, as Postgres needs it. */
  folder(): Promise<string>;
  /** More environment for the API and the workers, such as NODE_OPTIONS to profile them. */
  processEnv: Record<string, string>;
  /** How many services the queue's bench backs up. */
  services: number;
  /** The parts of a bench to run; all where none is named. */
  parts: readonly string[];
}

export interface Bench {
  name: string;
  about: string;
  run(context: BenchContext): Promise<Figure[]>;
}

export function figure(bench: string, name: string, ours: number, other: number | null = null): Figure {
  const round = (value: number): number => Number(value.toPrecision(4));
  const ratio = other === null ? null : round(ours / other);
  return { bench, figure: name, ours: round(ours), other: other === null ? null : round(other), ratio };
}
