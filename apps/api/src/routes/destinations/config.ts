import type { DestinationSecrets, DestinationType } from '@tarfleet/contracts';
import type { ConfigChanges, ShownConfig } from './schemas.ts';

interface TypeFields {
  /** Of the config, as the client writes them. */
  config: readonly string[];
  /** Never shown. */
  secrets: readonly string[];
  /** Where a change asks for the credentials again: they would go to somebody else. */
  endpoint: readonly string[];
  /** Where a change would lose sight of what is stored. */
  place: readonly string[];
}

const FIELDS: Record<DestinationType, TypeFields> = {
  local: { config: ['path'], secrets: [], endpoint: [], place: ['path'] },
  s3: {
    config: ['bucket', 'region', 'endpoint', 'prefix', 'force_path_style'],
    secrets: ['access_key_id', 'secret_access_key', 'session_token'],
    endpoint: ['endpoint', 'bucket'],
    place: ['bucket', 'prefix'],
  },
  sftp: {
    config: ['host', 'port', 'username', 'path', 'host_key_fingerprint'],
    secrets: ['password', 'private_key', 'passphrase'],
    endpoint: ['host', 'port', 'username', 'host_key_fingerprint'],
    place: ['path'],
  },
  ftp: {
    config: ['host', 'port', 'username', 'path', 'tls', 'ca', 'certificate_fingerprint'],
    secrets: ['password'],
    endpoint: ['host', 'port', 'username', 'tls', 'ca', 'certificate_fingerprint'],
    place: ['path'],
  },
  azure: {
    config: ['account', 'container', 'endpoint', 'prefix'],
    secrets: ['account_key', 'sas_token'],
    endpoint: ['account', 'container', 'endpoint'],
    place: ['account', 'container', 'prefix'],
  },
};

export function fieldsOf(type: string): TypeFields {
  return FIELDS[type as DestinationType];
}

/** Fields that the type has no use for. */
export function foreignFields(type: string, config: ConfigChanges): string[] {
  const { config: plain, secrets } = fieldsOf(type);
  return Object.keys(config).filter((field) => !plain.includes(field) && !secrets.includes(field));
}

/** Whether the stored forms differ in some of these fields. */
export function differ(before: object, after: object, fields: readonly string[]): boolean {
  const [one, other] = [before, after] as Record<string, unknown>[];
  return fields.some((field) => one?.[storedName(field)] !== other?.[storedName(field)]);
}

/** The stored form with these changes; null takes a field away. */
export function toStored(type: string, before: object, changes: ConfigChanges): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...before };
  for (const field of fieldsOf(type).config) {
    const value = (changes as Record<string, unknown>)[field];
    if (value !== undefined) merged[storedName(field)] = value;
  }
  if (typeof merged.certificate === 'string') {
    merged.certificate = merged.certificate.replaceAll(':', '').toLowerCase();
  }
  const whole = { ...defaultsOf(type, merged), ...merged };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== null));
}

function defaultsOf(type: string, { tls = 'explicit' }: Record<string, unknown>): object {
  if (type === 'sftp') return { port: 22 };
  if (type === 'ftp') return { tls, port: tls === 'implicit' ? 990 : 21 };
  return {};
}

export function toShown(stored: Record<string, unknown>): ShownConfig {
  const shownName = (name: string): string =>
    Object.entries(STORED_NAMES).find(([, own]) => own === name)?.[0] ?? name;
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [shownName(name), value]));
}

const STORED_NAMES: Record<string, string> = {
  force_path_style: 'forcePathStyle',
  host_key_fingerprint: 'hostKey',
  certificate_fingerprint: 'certificate',
};

function storedName(field: string): string {
  return STORED_NAMES[field] ?? field;
}

/** The credentials among the fields; null when there are none. */
export function secretsOf(config: ConfigChanges): DestinationSecrets | null {
  const found: DestinationSecrets = {
    ...given('accessKeyId', config.access_key_id),
    ...given('secretAccessKey', config.secret_access_key),
    ...given('sessionToken', config.session_token),
    ...given('password', config.password),
    ...given('privateKey', config.private_key),
    ...given('passphrase', config.passphrase),
    ...given('accountKey', config.account_key),
    ...given('sasToken', config.sas_token),
  };
  return Object.keys(found).length === 0 ? null : found;
}

function given<K extends string>(name: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, string>);
}
