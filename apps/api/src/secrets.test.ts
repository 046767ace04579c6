import { expect, test } from '@jest/globals';
import pg from 'pg';
import { PRIVATE_KEY, sshServer } from './testing/samples.ts';
import { buildTestApp, PASSWORD } from './testing/test-app.ts';

/** Values that must come out nowhere: not in a log line at any level, not in an answer, not in a table in clear. */
const CANARIES = {
  userPassword: 'canary-user-password-8271',
  wrongPassword: 'canary-wrong-password-1177',
  keyBody: 'Y2FuYXJ5LXByaXZhdGUta2V5LTQ0MTI',
  passphrase: 'canary-passphrase-9914',
  serverPassword: 'canary-server-password-3355',
  sudoPassword: 'canary-sudo-password-6604',
  accessKeyId: 'CANARYACCESSKEYID7788',
  secretAccessKey: 'canary-secret-access-key-2020',
  sessionToken: 'canary-session-token-5151',
  malformed: 'canary-in-broken-json-8080',
};

test('secrets reach no log, no answer and no table in clear', async () => {
  const t = await buildTestApp();
  try {
    const { user, token } = await t.as('admin');
    const answers: string[] = [];
    const ask = async (...args: Parameters<typeof t.ask>) => {
      const answer = await t.ask(...args);
      answers.push(answer.body);
      return answer;
    };
    const post = (url: string, body: unknown) => ask('POST', url, { token, body });

    await post('/api/users', { email: 'c@example.com', password: CANARIES.userPassword });
    await post('/api/users', { email: 'c@example.com', password: CANARIES.userPassword });
    await ask('POST', '/api/auth/login', { body: { email: user.email, password: CANARIES.wrongPassword } });
    await ask('POST', '/api/auth/login', { body: { email: CANARIES.wrongPassword, password: PASSWORD } });
    await ask('PATCH', `/api/users/${user.id}`, {
      token,
      body: { password: CANARIES.userPassword, current_password: CANARIES.wrongPassword },
    });

    const key = PRIVATE_KEY.replace(/b3Blbn\S+/, CANARIES.keyBody);
    const auth = { type: 'private_key', private_key: key, passphrase: CANARIES.passphrase };
    const become = { method: 'sudo', password: CANARIES.sudoPassword };
    const made = await post('/api/servers', { ...sshServer(), auth, become });
    expect(made.statusCode).toBe(201);
    const url = `/api/servers/${made.json().data.id}`;
    const password = { type: 'password', password: CANARIES.serverPassword };
    await ask('PATCH', url, { token, body: { auth: password, become } });
    // Refusals must not repeat what they refuse.
    await ask('PATCH', url, { token, body: { auth: { ...password, passwrod: CANARIES.serverPassword } } });
    await post('/api/servers', {
      ...sshServer(),
      auth: { type: 'private_key', private_key: CANARIES.keyBody },
    });
    await post('/api/servers', { ...sshServer(), pool: 'nowhere', auth: password });
    await post('/api/servers', { ...sshServer(), auth: CANARIES.serverPassword });

    const config = {
      bucket: 'backups',
      region: 'eu-central-1',
      access_key_id: CANARIES.accessKeyId,
      secret_access_key: CANARIES.secretAccessKey,
      session_token: CANARIES.sessionToken,
    };
    const destination = await post('/api/destinations', { name: 'd', type: 's3', config });
    expect(destination.statusCode).toBe(201);
    await post('/api/destinations', { name: 'd', type: 's3', config });
    await post('/api/destinations', { name: 'e', type: 's3', config: { ...config, bucket: 'B!' } });
    const at = `/api/destinations/${destination.json().data.id}`;
    await ask('POST', `${at}/test`, { token });
    await ask('GET', at, { token });

    const broken = await t.app.inject({
      method: 'POST',
      url: '/api/servers',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      payload: `{"auth": {"password": "${CANARIES.malformed}"`,
    });
    answers.push(broken.body);

    // What is shown once is shown in that answer alone.
    const headers = { 'idempotency-key': 'k1' };
    const shown = await t.ask('POST', '/api/auth/tokens', { token, body: { name: 'ci' }, headers });
    const { token: apiToken } = shown.json().data;
    await ask('POST', '/api/auth/tokens', { token, body: { name: 'ci' }, headers });
    await ask('GET', '/api/auth/me', { headers: { 'x-api-token': apiToken } });
    await ask('GET', '/api/auth/me', { headers: { 'x-api-token': `${apiToken}x` } });
    await ask('GET', '/api/auth/tokens', { token });
    await ask('GET', '/metrics');

    const stored = await dump(t.databaseUrl);
    expect(stored.length).toBeGreaterThan(1000);
    const places = { log: t.logged(), answers: answers.join('\n'), database: stored };
    const secrets = { ...CANARIES, apiToken, session: token, hash: '$argon2' };
    for (const [place, text] of Object.entries(places)) {
      for (const [name, secret] of Object.entries(secrets)) {
        // Password hashes belong into the database, and only there.
        if (name === 'hash' && place === 'database') continue;
        expect([place, name, text.includes(secret)]).toEqual([place, name, false]);
      }
    }
    expect(places.log).toContain('"msg":"request"');
  } finally {
    await t.close();
  }
});

/** Every row of every table, as text. */
async function dump(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const tables = await client.query<{ tablename: string }>(
      "select tablename from pg_tables where schemaname = 'public'",
    );
    const texts: string[] = [];
    for (const { tablename } of tables.rows) {
      const { rows } = await client.query(
        `select t::text as row from ${client.escapeIdentifier(tablename)} t`,
      );
      texts.push(...rows.map((one: { row: string }) => one.row));
    }
    return texts.join('\n');
  } finally {
    await client.end();
  }
}
