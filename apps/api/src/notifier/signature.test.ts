import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { createRequestSecrets, isSecret, newSecret, signatureOf } from './signature.ts';

test('the example of the specification’s reference libraries', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const body = '{"test": 2432232314}';
  expect(signatureOf(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, body)).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  );
});

test('another implementation verifies what is signed, and nothing else', () => {
  const secret = newSecret();
  const seconds = Math.floor(Date.now() / 1000);
  const body = JSON.stringify({ text: 'ünïcödé \u{1f600}' });
  const headers = {
    'webhook-id': 'id-1',
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatureOf(secret, 'id-1', seconds, body),
  };
  expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
  expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow();
  expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow();
});

test('a secret is the prefix and base64 of 24 to 64 bytes', () => {
  const of = (bytes: number) => `whsec_${randomBytes(bytes).toString('base64')}`;
  for (const bytes of [24, 32, 64]) expect(isSecret(of(bytes))).toBe(true);
  for (const wrong of [of(23), of(65), of(32).slice(6), `${of(32)} `, `whsec_${'!'.repeat(40)}`, '']) {
    expect([wrong, isSecret(wrong)]).toEqual([wrong, false]);
  }
  expect(isSecret(newSecret())).toBe(true);
});

test('each address of each project has a secret of its own, the same on every process', () => {
  const [one, same, other] = [1, 1, 2].map((seed) => createRequestSecrets(Buffer.alloc(32, seed)));
  const url = 'https://hooks.example.com/x';
  expect(isSecret(one!(1, url))).toBe(true);
  expect(same!(1, url)).toBe(one!(1, url));
  expect(one!(1, 'https://HOOKS.example.com:443/x')).toBe(one!(1, url));
  const all = [one!(1, url), one!(2, url), one!(1, `${url}/y`), other!(1, url)];
  expect(new Set(all).size).toBe(4);
});
