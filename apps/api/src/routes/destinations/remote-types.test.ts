// What destinations of type sftp, ftp and azure take, keep and show.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { destinationAad } from '@tarfleet/vault';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
});
afterAll(() => t.close());

const hostKey = `SHA256:${'a'.repeat(43)}`;
const sftp = {
  host: 'backup.example.com',
  username: 'tarfleet',
  path: '/srv/backups',
  host_key_fingerprint: hostKey,
};
const ftp = { host: 'ftp.example.com', username: 'w0123', path: '/backups' };
const azure = { account: 'mybackups', container: 'archives', prefix: 'tarfleet' };
/** No two destinations share one. */
const ownFolder = (config: object) => ('path' in config ? { path: `/srv/${crypto.randomUUID()}` } : {});
const create = (type: string, config: object) =>
  t.ask('POST', '/api/destinations', { token: admin, body: { name: crypto.randomUUID(), type, config } });
const patch = (id: string, config: object) =>
  t.ask('PATCH', `/api/destinations/${id}`, { token: admin, body: { config } });

test.each([
  ['sftp', sftp, { password: 'canary-1' }, { ...sftp, port: 22 }],
  [
    'sftp',
    { ...sftp, port: 2222 },
    { private_key: 'canary-2', passphrase: 'canary-3' },
    { ...sftp, port: 2222 },
  ],
  ['ftp', ftp, { password: 'canary-4' }, { ...ftp, port: 21, tls: 'explicit' }],
  ['ftp', { ...ftp, tls: 'implicit' }, { password: 'canary-5' }, { ...ftp, port: 990, tls: 'implicit' }],
  ['azure', azure, { account_key: 'Y2FuYXJ5' }, azure],
])('%s keeps its credentials to itself', async (type, config, secrets, expected) => {
  const own = ownFolder(config);
  const shown = { ...expected, ...own };
  const answer = await create(type, { ...config, ...own, ...secrets });
  expect([answer.statusCode, answer.body]).toEqual([201, expect.any(String)]);
  const { data } = answer.json();
  expect(data).toMatchObject({ type, has_credentials: true });
  expect(data.config).toEqual(shown);
  for (const secret of Object.values(secrets)) expect(answer.body).not.toContain(secret);
  const stored = await t.db.destinations.get(data.id);
  const opened = t.vault.box.open(destinationAad(data.id), stored?.secretCiphertext ?? '') as object;
  expect(Object.values(opened)).toEqual(Object.values(secrets));
});

test.each([
  ['sftp', { ...sftp, password: 'x' }, { host: 'other.example.com' }],
  ['sftp', { ...sftp, password: 'x' }, { host_key_fingerprint: `SHA256:${'b'.repeat(43)}` }],
  ['ftp', { ...ftp, password: 'x' }, { tls: 'none' }],
  ['ftp', { ...ftp, password: 'x' }, { certificate_fingerprint: 'a'.repeat(64) }],
  ['azure', { ...azure, sas_token: 'x' }, { account: 'another' }],
])('%s asks for the credentials again before they go to somebody else', async (type, config, change) => {
  const { data } = (await create(type, { ...config, ...ownFolder(config) })).json();
  const refused = await patch(data.id, change);
  expect([refused.statusCode, refused.json().code]).toEqual([400, 'CREDENTIALS_REQUIRED']);
  const secrets = type === 'azure' ? { sas_token: 'y' } : { password: 'y' };
  expect((await patch(data.id, { ...change, ...secrets })).statusCode).toBe(200);
});

test.each([
  ['sftp', { ...sftp, host_key_fingerprint: undefined }],
  ['sftp', { ...sftp, host_key_fingerprint: 'aa:bb' }],
  ['sftp', { ...sftp, password: 'x', private_key: 'y' }],
  ['sftp', { ...sftp, passphrase: 'y' }],
  ['sftp', { ...sftp, bucket: 'x' }],
  ['sftp', { ...sftp, path: 'relative' }],
  ['ftp', { ...ftp, tls: 'maybe' }],
  ['ftp', { ...ftp, host: 'user@host' }],
  ['ftp', { ...ftp, port: 0 }],
  ['azure', { ...azure, account_key: 'Y2Fu', sas_token: 'x' }],
  ['azure', { ...azure, container: 'Not A Container' }],
])('%s refuses what makes no sense: %j', async (type, config) => {
  expect((await create(type, config)).statusCode).toBe(400);
});

test('a certificate pin is kept in one form', async () => {
  const pin = Array.from({ length: 32 }, () => 'AB').join(':');
  const { data } = (await create('ftp', { ...ftp, ...ownFolder(ftp), certificate_fingerprint: pin })).json();
  expect(data.config.certificate_fingerprint).toBe('ab'.repeat(32));
});
