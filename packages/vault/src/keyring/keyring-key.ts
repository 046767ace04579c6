/** One key of a keyring: it wraps archives' own keys, and is never used on an archive itself. */
import type { KeyIds, WrappedKey } from './wrapped-key.ts';

export interface KeyringKey {
  readonly name: string;
  readonly kind: WrappedKey['kind'];
  wrap(dataKey: Buffer, ids: KeyIds, signal?: AbortSignal): Promise<WrappedKey>;
  /** Null when the wrapped key is not this key's, or was changed. Rejects only when the key itself is out of reach. */
  unwrap(wrapped: WrappedKey, ids: KeyIds, signal?: AbortSignal): Promise<Buffer | null>;
}
