/** When a schedule is due. */
export interface DueTimes {
  /** The first time after this one; null when there is none. */
  next(after: Date): Date | null;
}
