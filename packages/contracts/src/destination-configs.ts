/** Where a destination of each type lies. What opens it is in its secrets (`sealed.ts`), never here. */
import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;

export const DESTINATION_TYPES = ['local', 's3', 'sftp', 'ftp', 'azure'] as const;
export type DestinationType = (typeof DESTINATION_TYPES)[number];

export const LocalDestinationConfig = Type.Object(
  { path: Type.String({ pattern: '^/', description: 'Absolute folder on the worker and API hosts' }) },
  closed,
);
export type LocalDestinationConfig = Static<typeof LocalDestinationConfig>;

export const S3DestinationConfig = Type.Object(
  {
    bucket: Type.String({ minLength: 3, maxLength: 63 }),
    region: Type.String({ minLength: 1 }),
    /** Left out for Amazon. */
    endpoint: Type.Optional(Type.String({ pattern: '^https?://' })),
    prefix: Type.Optional(Type.String({ pattern: '^[^/].*[^/]$|^[^/]$' })),
    forcePathStyle: Type.Optional(Type.Boolean()),
  },
  closed,
);
export type S3DestinationConfig = Static<typeof S3DestinationConfig>;

const host = Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\s/@]+$' });
const port = Type.Integer({ minimum: 1, maximum: 65535 });
const remoteFolder = Type.String({ pattern: '^/', description: 'Absolute folder, as the account sees it' });

export const SftpDestinationConfig = Type.Object(
  {
    host,
    port,
    username: Type.String({ minLength: 1 }),
    path: remoteFolder,
    /** Of the host's key: `SHA256:` and unpadded base64, as ssh-keygen prints it. */
    hostKey: Type.String({ pattern: '^SHA256:[A-Za-z0-9+/]{43}$' }),
  },
  closed,
);
export type SftpDestinationConfig = Static<typeof SftpDestinationConfig>;

export const FtpDestinationConfig = Type.Object(
  {
    host,
    port,
    username: Type.String({ minLength: 1 }),
    path: remoteFolder,
    /** `none` sends password and archives as they are: it has to be asked for by name. */
    tls: Type.Enum(['explicit', 'implicit', 'none']),
    /** PEM of who may have signed the server's certificate, in place of this host's own list. */
    ca: Type.Optional(Type.String()),
    /** SHA-256 of the server's certificate, 64 hex digits: then no other is taken, and nobody need have signed it. */
    certificate: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  },
  closed,
);
export type FtpDestinationConfig = Static<typeof FtpDestinationConfig>;

export const AzureDestinationConfig = Type.Object(
  {
    account: Type.String({ minLength: 1 }),
    container: Type.String({ minLength: 3, maxLength: 63 }),
    /** Left out for Azure's public cloud. */
    endpoint: Type.Optional(Type.String({ pattern: '^https?://' })),
    prefix: Type.Optional(Type.String({ pattern: '^[^/].*[^/]$|^[^/]$' })),
  },
  closed,
);
export type AzureDestinationConfig = Static<typeof AzureDestinationConfig>;
