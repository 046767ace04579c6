/** What one try at a delivery came to. `status` is the receiver's answer, null where it gave none. */
export type Outcome =
  | { kind: 'delivered'; status: number | null }
  /** Worth another try later. */
  | { kind: 'retry'; status: number | null; error: string }
  /** No later try would end otherwise. */
  | { kind: 'refused'; status: number | null; error: string }
  /** The receiver wants to hear no more: 410. */
  | { kind: 'gone'; status: number; error: string }
  /** This process ends: the try does not count. */
  | { kind: 'stopped' };
