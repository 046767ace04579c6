import { PoolName, Timestamp, Uuid } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';
import { JobView } from '../../jobs-port.ts';
import { Name, nullable, one, oneOf, PageQuery, page, strict } from '../shapes.ts';

const Host = Type.String({
  maxLength: 253,
  pattern: '^[A-Za-z0-9:][A-Za-z0-9._:%-]*$',
  description: 'a host name or an IP address',
});
const Port = Type.Integer({ minimum: 1, maximum: 65535 });
const Username = Type.String({
  maxLength: 64,
  pattern: '^[^\\s\\p{Cc}-][^\\s\\p{Cc}]*$',
  description: 'a user name, without spaces',
});
const Fingerprint = Type.String({
  pattern: '^SHA256:[A-Za-z0-9+/]{43}$',
  description: 'SHA256: and 43 characters of base64, as ssh-keygen -l prints it',
});
const Secret = Type.String({ minLength: 1, maxLength: 1024 });

const Auth = oneOf('type', [
  strict({
    type: Type.Literal('private_key'),
    private_key: Type.String({
      maxLength: 65_536,
      pattern: '^\\s*-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\\s\\S]+-----END [A-Z0-9 ]*PRIVATE KEY-----\\s*$',
      description: 'a private key in OpenSSH or PEM form, from its BEGIN line to its END line',
    }),
    passphrase: Type.Optional(Secret),
  }),
  strict({ type: Type.Literal('password'), password: Secret }),
]);
export type Auth = Static<typeof Auth>;

const Become = strict({
  method: Type.Literal('sudo'),
  password: Type.Optional(Secret),
});

const Environment = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,39}$',
  description: 'a label by which restores choose a server, such as production, staging or development',
});

const SshServer = strict({
  kind: Type.Literal('ssh'),
  name: Name,
  host: Host,
  port: Type.Integer({ minimum: 1, maximum: 65535, default: 22 }),
  username: Username,
  auth: Auth,
  host_key_fingerprint: Type.Optional(Fingerprint),
  pool: Type.Optional(PoolName),
  project_id: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
  become: Type.Optional(Become),
  jump: Type.Optional(Uuid),
  environment: Type.Optional(Environment),
});
export type SshServer = Static<typeof SshServer>;

const LocalServer = strict({
  kind: Type.Literal('local'),
  name: Name,
  pool: Type.Optional(PoolName),
  project_id: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
  environment: Type.Optional(Environment),
});
export type LocalServer = Static<typeof LocalServer>;

export const NewServerBody = oneOf('kind', [SshServer, LocalServer]);
export type NewServerBody = Static<typeof NewServerBody>;

export const ServerChangesBody = strict({
  name: Type.Optional(Name),
  host: Type.Optional(Host),
  port: Type.Optional(Port),
  username: Type.Optional(Username),
  auth: Type.Optional(Auth),
  host_key_fingerprint: Type.Optional(nullable(Fingerprint)),
  pool: Type.Optional(PoolName),
  become: Type.Optional(nullable(Become)),
  jump: Type.Optional(nullable(Uuid)),
  environment: Type.Optional(nullable(Environment)),
});
export type ServerChangesBody = Static<typeof ServerChangesBody>;

export const ServerQuery = strict({
  ...PageQuery,
  project_id: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
  pool: Type.Optional(PoolName),
  environment: Type.Optional(Environment),
});

const fields = {
  id: Uuid,
  project_id: Type.Integer(),
  name: Type.String(),
  kind: Type.Enum(['ssh', 'local']),
  host: nullable(Type.String()),
  port: nullable(Type.Integer()),
  username: nullable(Type.String()),
  auth_type: Type.Enum(['private_key', 'password', 'none']),
  host_key_fingerprint: nullable(Fingerprint),
  pool: Type.String(),
  become: nullable(strict({ method: Type.Literal('sudo') })),
  jump: nullable(Uuid),
  environment: nullable(Type.String()),
  tools: nullable(
    Type.Record(Type.String(), nullable(Type.String()), { description: 'As the last test found them' }),
  ),
  created_at: Timestamp,
  updated_at: Timestamp,
  last_seen_at: nullable(Timestamp),
};
const ServerView = strict(fields);
export const ServerAnswer = one(ServerView);
export const NewServerAnswer = one(
  strict({
    ...fields,
    test_job_id: nullable(
      Type.String({ description: 'The first test, which pins the host key; see /api/jobs/:id' }),
    ),
    test_error: nullable(Type.String({ description: 'Why the first test was not started' })),
  }),
);
export const ServerPage = page(ServerView);
export const JobAnswer = one(JobView);
