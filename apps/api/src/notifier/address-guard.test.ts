import type { LookupAddress } from 'node:dns';
import { expect, test } from '@jest/globals';
import { AddressRefused, createAddressGuard, parseAllowed, type Resolve } from './address-guard.ts';
import { urlFault } from './check-url.ts';

const answers =
  (...addresses: string[]): Resolve =>
  (_host, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
const guardOf = (allowed = '', resolve?: Resolve) => createAddressGuard(parseAllowed(allowed), resolve);
const lookUp = (guard: ReturnType<typeof guardOf>, host: string) =>
  new Promise<string[] | Error>((resolve) =>
    guard.lookup(host, { all: true }, (error, found) =>
      resolve(error ?? (found as LookupAddress[]).map(({ address }) => address)),
    ),
  );

test.each([
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254'],
  ...['172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.168.1.1', '198.18.0.1', '198.51.100.1'],
  ...['203.0.113.1', '224.0.0.1', '239.1.2.3', '240.0.0.1', '255.255.255.255'],
  ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe'],
  ...[
    '64:ff9b::7f00:1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
  ],
  ...[
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '4000::1',
    'not an address',
    '',
  ],
])('%s is no public address', (address) => {
  expect(guardOf().allows(address, 'hooks.example.com')).toBe(false);
});

test.each([
  '1.1.1.1',
  '93.184.216.34',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700:4700::1111',
  '::ffff:1.1.1.1',
])('%s is one', (address) => {
  expect(guardOf().allows(address, 'hooks.example.com')).toBe(true);
});

test('what is allowed is a network, an address, or all that a name stands for', () => {
  const guard = guardOf('10.1.0.0/16, 192.168.7.7,fd00::/8 ,Hooks.Internal');
  for (const [address, fair] of [
    ...[
      ['10.1.255.1', true],
      ['10.2.0.1', false],
      ['192.168.7.7', true],
      ['192.168.7.8', false],
    ],
    ...[
      ['::ffff:10.1.2.3', true],
      ['fd12::1', true],
      ['fc00::1', false],
    ],
  ] as [string, boolean][]) {
    expect([address, guard.allows(address, 'x')]).toEqual([address, fair]);
  }
  expect(guard.allows('127.0.0.1', 'hooks.internal.')).toBe(true);
  expect(guard.allows('127.0.0.1', 'other.hooks.internal')).toBe(false);
  for (const wrong of ['10.0.0.0/33', 'http://x', '10.1', 'a b', '*']) {
    expect(() => parseAllowed(wrong)).toThrow(/is neither a network/);
  }
});

test('of what a name resolves to, only fair addresses are connected to', async () => {
  expect(await lookUp(guardOf('', answers('10.0.0.1', '1.1.1.1', '::1')), 'h')).toEqual(['1.1.1.1']);
  expect(await lookUp(guardOf('', answers('127.0.0.1')), 'h')).toBeInstanceOf(AddressRefused);
  expect(await lookUp(guardOf(), 'localhost')).toBeInstanceOf(AddressRefused);
  expect(await lookUp(guardOf('localhost'), 'localhost')).toContain('127.0.0.1');
});

test('an address of somebody’s choice is looked at in every spelling', async () => {
  const fault = (url: string, resolve = answers('1.1.1.1')) => urlFault(guardOf('', resolve), url);
  for (const url of [
    ...[
      'http://127.0.0.1/',
      'http://127.1/',
      'http://2130706433/',
      'http://0x7f.0.0.1/',
      'http://0177.0.0.1/',
    ],
    ...['http://[::1]/', 'http://[::ffff:127.0.0.1]:80/', 'http://[::ffff:7f00:1]/', 'http://127.0.0.1./'],
    ...['https://169.254.169.254/latest/meta-data', 'http://①②⑦.0.0.1/'],
  ]) {
    expect([url, await fault(url)]).toEqual([url, expect.stringContaining('WEBHOOK_ALLOWED')]);
  }
  expect(await fault('https://hooks.example.com/', answers('192.168.0.1'))).toContain('WEBHOOK_ALLOWED');
  expect(await fault('https://hooks.example.com/x?y=1')).toBeUndefined();
  for (const url of ['ftp://hooks.example.com', 'file:///etc/passwd', 'hooks.example.com', 'http://']) {
    expect([url, await fault(url)]).toEqual([url, 'must be an http or https address']);
  }
  expect(await fault('https://user:pw@hooks.example.com/')).toContain('user name');
  expect(await fault('https://hooks.example.com/#x')).toContain('fragment');
});

test('a name that has no address yet is looked at when it is connected to', async () => {
  const unknown: Resolve = (_host, _options, callback) =>
    callback(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }), []);
  expect(await urlFault(guardOf('', unknown), 'https://monitoring.example.com/webhook')).toBeUndefined();
});
