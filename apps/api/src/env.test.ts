import { expect, test } from '@jest/globals';
import { EnvError } from '@tarfleet/kernel';
import { readConfig } from './env.ts';

const NEEDED = { DATABASE_URL: 'postgres://h/d', QUEUE_URL: 'redis://h', API_KEYS: '{}', POOLS: '{}' };

test('what is documented is the default', () => {
  expect(readConfig(NEEDED)).toMatchObject({
    HOST: '127.0.0.1',
    SESSION_HOURS: 12,
    BODY_LIMIT_BYTES: 1_048_576,
    RATE_LIMIT_RESTORES_PER_HOUR: 10,
    RATE_LIMIT_STATUS_PER_MINUTE: 100,
    RATE_LIMIT_VERIFY_PER_HOUR: 20,
    TRUSTED_PROXIES: 0,
    LOCAL_ALLOWED: false,
    RESTORE_KEEP_HOURS: 24,
    SCHEDULE_EVERY_MS: 1_000,
  });
});

test('every fault is told at once, without values', () => {
  const read = () =>
    readConfig({ ...NEEDED, DATABASE_URL: 'mysql://secret', PORT: 'x', PUBLIC_URL: 'ftp://y' });
  expect(read).toThrow(EnvError);
  expect(read).toThrow(/DATABASE_URL[\s\S]*PORT[\s\S]*|PORT[\s\S]*DATABASE_URL/);
  expect(read).not.toThrow(/secret/);
});

test('ways back may be kept for a part of an hour, or not at all', () => {
  const keep = (hours: string) => readConfig({ ...NEEDED, RESTORE_KEEP_HOURS: hours }).RESTORE_KEEP_HOURS;
  expect([keep('0.5'), keep('0')]).toEqual([0.5, 0]);
  expect(() => keep('-1')).toThrow(/RESTORE_KEEP_HOURS/);
});

test('letters need a server and a sender, and what webhooks may reach is a list of networks and hosts', () => {
  const smtp = { SMTP_URL: 'smtp://u:canary-pw@h:587', SMTP_FROM: 'Tarfleet <b@example.com>' };
  expect(readConfig({ ...NEEDED, ...smtp })).toMatchObject(smtp);
  expect(() => readConfig({ ...NEEDED, SMTP_URL: smtp.SMTP_URL })).toThrow(/SMTP_URL and SMTP_FROM/);
  expect(() => readConfig({ ...NEEDED, SMTP_FROM: smtp.SMTP_FROM })).toThrow(/SMTP_URL and SMTP_FROM/);
  const wrong = () => readConfig({ ...NEEDED, ...smtp, SMTP_URL: 'http://u:canary-pw@h' });
  expect(wrong).toThrow(/SMTP_URL/);
  expect(wrong).not.toThrow(/canary/);
  expect(readConfig({ ...NEEDED, WEBHOOK_ALLOWED: '10.0.0.0/8,hooks.internal' })).toBeTruthy();
  expect(() => readConfig({ ...NEEDED, WEBHOOK_ALLOWED: '10.0.0.0/80' })).toThrow(/WEBHOOK_ALLOWED/);
  expect(() => readConfig({ ...NEEDED, NOTIFY_RETRY_SECONDS: '5,x' })).toThrow(/NOTIFY_RETRY_SECONDS/);
});

test('pages that may use the API are named by whole origins', () => {
  expect(readConfig({ ...NEEDED, CORS_ORIGINS: 'https://a.example' })).toBeTruthy();
  expect(() => readConfig({ ...NEEDED, CORS_ORIGINS: '*' })).toThrow(/CORS_ORIGINS: \* is not an origin/);
});

test('another issuer needs its name and audience', () => {
  expect(() => readConfig({ ...NEEDED, JWKS_URL: 'https://x/keys' })).toThrow(/JWT_AUDIENCE/);
  const all = { JWKS_URL: 'https://x/keys', JWT_ISSUER: 'https://x', JWT_AUDIENCE: 'a' };
  expect(readConfig({ ...NEEDED, ...all })).toMatchObject(all);
});
