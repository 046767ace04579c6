import type { DestinationSecrets, LocalDestinationConfig, S3DestinationConfig } from '@tarfleet/contracts';
import type { ConfigChanges, S3Config } from './schemas.ts';

/** As the client writes and reads it. */
export type ShownConfig = Omit<S3Config, 'bucket' | 'region' | SecretField> &
  Partial<Pick<S3Config, 'bucket' | 'region'>> & { path?: string };
type SecretField = 'access_key_id' | 'secret_access_key' | 'session_token';
type StoredConfig = Partial<LocalDestinationConfig & S3DestinationConfig>;

const LOCAL_FIELDS = ['path'] as const;
const S3_FIELDS = [
  'bucket',
  'region',
  'endpoint',
  'prefix',
  'force_path_style',
  'access_key_id',
  'secret_access_key',
  'session_token',
] as const;

/** Fields that the type has no use for. */
export function foreignFields(type: string, config: ConfigChanges): string[] {
  const known: readonly string[] = type === 'local' ? LOCAL_FIELDS : S3_FIELDS;
  return Object.keys(config).filter((field) => !known.includes(field));
}

/** The stored form with these changes; null takes a field away. */
export function toStored(before: Record<string, unknown>, changes: ConfigChanges): StoredConfig {
  const { force_path_style: forcePathStyle, ...rest } = changes;
  const { access_key_id: _a, secret_access_key: _s, session_token: _t, ...plain } = rest;
  const merged = { ...before, ...plain, ...(forcePathStyle === undefined ? {} : { forcePathStyle }) };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

export function toShown(stored: Record<string, unknown>): ShownConfig {
  const { forcePathStyle, ...rest } = stored as StoredConfig;
  return { ...rest, ...(forcePathStyle === undefined ? {} : { force_path_style: forcePathStyle }) };
}

/** The credentials among the fields; null when there are none. */
export function secretsOf(config: ConfigChanges): DestinationSecrets | null {
  const { access_key_id: id, secret_access_key: key, session_token: token } = config;
  if (id === undefined || key === undefined) return null;
  return { accessKeyId: id, secretAccessKey: key, ...(token === undefined ? {} : { sessionToken: token }) };
}
