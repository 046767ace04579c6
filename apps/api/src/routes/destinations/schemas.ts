import { DESTINATION_TYPES, PoolName, RetentionPolicy, Timestamp, Uuid } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { JobView } from '../../jobs-port.ts';
import { Name, nullable, one, oneOf, page, strict } from '../shapes.ts';

const Path = Type.String({
  minLength: 1,
  maxLength: 4096,
  description: 'Absolute folder on the workers’ hosts',
});
const Bucket = Type.String({
  pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$',
  description: 'a bucket name: 3 to 63 lower-case letters, digits, dots and dashes',
});
const Region = Type.String({ pattern: '^[A-Za-z0-9-]{1,50}$', description: 'a region’s name' });
const Endpoint = Type.String({
  maxLength: 500,
  pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$',
  description: 'an http or https address without user name and query; left out for Amazon',
});
const Prefix = Type.String({
  maxLength: 300,
  pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$',
  description: 'letters, digits, dots, dashes, underscores and slashes between',
});
const Credential = Type.String({ minLength: 1, maxLength: 4096 });
const AccountKey = Type.String({
  maxLength: 4096,
  pattern: '^[A-Za-z0-9+/]+={0,2}$',
  description: 'an access key of the account, in Base64',
});
const PrivateKey = Type.String({ minLength: 1, maxLength: 65_536 });

const Host = Type.String({
  maxLength: 255,
  pattern: '^[A-Za-z0-9._:-]+$',
  description: 'a host name or an IP address',
});
const Port = Type.Integer({ minimum: 1, maximum: 65535 });
const Username = Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\p{Cc}]+$' });
const RemotePath = Type.String({
  maxLength: 4096,
  pattern: '^/[^\\p{Cc}]*$',
  description: 'Absolute folder, as the account sees it',
});
const HostKey = Type.String({
  pattern: '^SHA256:[A-Za-z0-9+/]{43}$',
  description: 'Fingerprint of the host key, as ssh-keygen -lf prints it',
});
const Tls = Type.Enum(['explicit', 'implicit', 'none']);
const Ca = Type.String({
  maxLength: 100_000,
  pattern: '^\\s*-----BEGIN CERTIFICATE-----',
  description: 'PEM of who signed the server’s certificate',
});
const CertificateFingerprint = Type.String({
  pattern: '^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$|^[0-9A-Fa-f]{64}$',
  description: 'SHA-256 of the server’s certificate, in hex',
});

const LocalConfig = strict({ path: Path });
const S3Config = strict({
  bucket: Bucket,
  region: Region,
  endpoint: Type.Optional(Endpoint),
  prefix: Type.Optional(Prefix),
  force_path_style: Type.Optional(Type.Boolean()),
  access_key_id: Type.Optional(Credential),
  secret_access_key: Type.Optional(Credential),
  session_token: Type.Optional(Credential),
});
const SftpConfig = strict({
  host: Host,
  port: Type.Optional(Port),
  username: Username,
  path: RemotePath,
  host_key_fingerprint: HostKey,
  password: Type.Optional(Credential),
  private_key: Type.Optional(PrivateKey),
  passphrase: Type.Optional(Credential),
});
const FtpConfig = strict({
  host: Host,
  port: Type.Optional(Port),
  username: Username,
  path: RemotePath,
  tls: Type.Optional(Tls),
  ca: Type.Optional(Ca),
  certificate_fingerprint: Type.Optional(CertificateFingerprint),
  password: Type.Optional(Credential),
});
const Account = Type.String({ pattern: '^[a-z0-9]{3,24}$', description: 'a storage account’s name' });
const Container = Type.String({
  pattern: '^[a-z0-9](-?[a-z0-9]){2,62}$',
  description: 'a container’s name: 3 to 63 lower-case letters, digits and single dashes',
});
const AzureConfig = strict({
  account: Account,
  container: Container,
  endpoint: Type.Optional(Endpoint),
  prefix: Type.Optional(Prefix),
  account_key: Type.Optional(AccountKey),
  sas_token: Type.Optional(Credential),
});

const common = {
  name: Name,
  retention_days: Type.Optional(
    nullable(
      Type.Integer({
        minimum: 1,
        maximum: 36_500,
        description: 'Days that a new backup there has which names none itself',
      }),
    ),
  ),
  retention: Type.Optional(nullable(RetentionPolicy)),
  capacity_bytes: Type.Optional(
    nullable(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'What it holds at most: statistics then tell how much of that is used',
      }),
    ),
  ),
  is_default: Type.Optional(Type.Boolean()),
  enabled: Type.Optional(
    Type.Boolean({
      description: 'false: new backups there are refused; what lies there is restored as before',
    }),
  ),
};

export const NewDestinationBody = oneOf('type', [
  strict({ type: Type.Literal('local'), ...common, config: LocalConfig }),
  strict({ type: Type.Literal('s3'), ...common, config: S3Config }),
  strict({ type: Type.Literal('sftp'), ...common, config: SftpConfig }),
  strict({ type: Type.Literal('ftp'), ...common, config: FtpConfig }),
  strict({ type: Type.Literal('azure'), ...common, config: AzureConfig }),
]);
export type NewDestinationBody = Static<typeof NewDestinationBody>;

const pool = Type.Optional(
  Type.Unsafe<string>({
    ...PoolName,
    description:
      'Whose workers try it; left out: the pool that made the newest backup there, or default where there is none',
  }),
);
/** For the test of one that is stored. */
export const TestBody = Type.Unsafe<{ pool?: string } | null>({
  type: ['object', 'null'],
  properties: { pool },
  additionalProperties: false,
});

const unnamed = { ...common, name: Type.Optional(Name), pool };
/** The same, as far as it is known yet. */
export const TriedDestinationBody = oneOf('type', [
  strict({ type: Type.Literal('local'), ...unnamed, config: LocalConfig }),
  strict({ type: Type.Literal('s3'), ...unnamed, config: S3Config }),
  strict({ type: Type.Literal('sftp'), ...unnamed, config: SftpConfig }),
  strict({ type: Type.Literal('ftp'), ...unnamed, config: FtpConfig }),
  strict({ type: Type.Literal('azure'), ...unnamed, config: AzureConfig }),
]);

const ConfigChanges = strict({
  path: Type.Optional(Path),
  bucket: Type.Optional(Bucket),
  region: Type.Optional(Region),
  endpoint: Type.Optional(nullable(Endpoint)),
  prefix: Type.Optional(nullable(Prefix)),
  force_path_style: Type.Optional(Type.Boolean()),
  access_key_id: Type.Optional(Credential),
  secret_access_key: Type.Optional(Credential),
  session_token: Type.Optional(Credential),
  host: Type.Optional(Host),
  port: Type.Optional(Port),
  username: Type.Optional(Username),
  host_key_fingerprint: Type.Optional(HostKey),
  tls: Type.Optional(Tls),
  ca: Type.Optional(nullable(Ca)),
  certificate_fingerprint: Type.Optional(nullable(CertificateFingerprint)),
  password: Type.Optional(Credential),
  private_key: Type.Optional(PrivateKey),
  passphrase: Type.Optional(Credential),
  account: Type.Optional(Account),
  container: Type.Optional(Container),
  account_key: Type.Optional(AccountKey),
  sas_token: Type.Optional(Credential),
});
export type ConfigChanges = Static<typeof ConfigChanges>;

export const DestinationChangesBody = strict({
  ...common,
  name: Type.Optional(Name),
  config: Type.Optional(ConfigChanges),
});
export type DestinationChangesBody = Static<typeof DestinationChangesBody>;

export type ShownConfig = Static<typeof DestinationView>['config'];
const DestinationView = strict({
  id: Uuid,
  name: Type.String(),
  type: Type.Enum([...DESTINATION_TYPES]),
  config: strict({
    path: Type.Optional(Type.String()),
    bucket: Type.Optional(Type.String()),
    region: Type.Optional(Type.String()),
    endpoint: Type.Optional(Type.String()),
    prefix: Type.Optional(Type.String()),
    force_path_style: Type.Optional(Type.Boolean()),
    host: Type.Optional(Type.String()),
    port: Type.Optional(Type.Integer()),
    username: Type.Optional(Type.String()),
    host_key_fingerprint: Type.Optional(Type.String()),
    tls: Type.Optional(Tls),
    ca: Type.Optional(Type.String()),
    certificate_fingerprint: Type.Optional(Type.String()),
    account: Type.Optional(Type.String()),
    container: Type.Optional(Type.String()),
  }),
  has_credentials: Type.Boolean(),
  retention_days: nullable(Type.Integer()),
  retention: nullable(RetentionPolicy),
  capacity_bytes: nullable(Type.Integer()),
  is_default: Type.Boolean(),
  enabled: Type.Boolean(),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export const DestinationAnswer = one(DestinationView);
export const DestinationPage = page(DestinationView);
export const JobAnswer = one(JobView);
