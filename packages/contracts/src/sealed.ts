import { type Static, Type } from 'typebox';

const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/_-]*={0,2}$' });

/**
 * A secret that only one pool's workers can open (HPKE, RFC 9180, base mode).
 * What it is bound to (`info`) is not carried along: the opener states it again.
 */
export const SealedBox = Type.Object(
  {
    v: Type.Literal(1),
    keyId: Type.String(),
    enc: Base64,
    ct: Base64,
  },
  { additionalProperties: false },
);
export type SealedBox = Static<typeof SealedBox>;

/** What is inside a server's box. */
export const ServerSecrets = Type.Object(
  {
    auth: Type.Union([
      Type.Object(
        {
          type: Type.Literal('private_key'),
          private_key: Type.String({ minLength: 1 }),
          passphrase: Type.Optional(Type.String()),
        },
        { additionalProperties: false },
      ),
      Type.Object(
        { type: Type.Literal('password'), password: Type.String({ minLength: 1 }) },
        { additionalProperties: false },
      ),
      Type.Object({ type: Type.Literal('none') }, { additionalProperties: false }),
    ]),
    becomePassword: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type ServerSecrets = Static<typeof ServerSecrets>;

/** What is inside a destination's box: the fields of its type. */
export const DestinationSecrets = Type.Object(
  {
    /** Of s3. */
    accessKeyId: Type.Optional(Type.String()),
    secretAccessKey: Type.Optional(Type.String()),
    sessionToken: Type.Optional(Type.String()),
    /** Of sftp (or a private key) and ftp. */
    password: Type.Optional(Type.String()),
    /** Of sftp: PEM or OpenSSH's form. */
    privateKey: Type.Optional(Type.String()),
    passphrase: Type.Optional(Type.String()),
    /** Of azure: one of the two. */
    accountKey: Type.Optional(Type.String()),
    sasToken: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type DestinationSecrets = Static<typeof DestinationSecrets>;

/** What is inside a database's box. */
export const DatabaseSecrets = Type.Object(
  { password: Type.String({ minLength: 1 }) },
  { additionalProperties: false },
);
export type DatabaseSecrets = Static<typeof DatabaseSecrets>;
