import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AddressGuard, AddressRefused, plainHost } from './address-guard.ts';

/** A resolver that is slow says nothing against an address: it is looked at again when it is connected to. */
const LOOKUP_MS = 3_000;

/** What is wrong with an address that is to be told of events; undefined when nothing is. Never repeats it. */
export async function urlFault(guard: AddressGuard, text: string): Promise<string | undefined> {
  const url = parseUrl(text);
  if (!url) return 'must be an http or https address';
  if (url.username !== '' || url.password !== '') {
    return 'must not hold a user name or password: deliveries are signed';
  }
  if (url.hash !== '') return 'must not hold a fragment (#)';
  return (await isFair(guard, url)) ? undefined : new AddressRefused().message;
}

export function parseUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
}

/** Whether a host that is written as an address is a fair one; names are looked at when they are resolved. */
export function isFairLiteral(guard: AddressGuard, url: URL): boolean {
  const host = plainHost(url.hostname);
  return isIP(host) === 0 || guard.allows(host, host);
}

async function isFair(guard: AddressGuard, url: URL): Promise<boolean> {
  if (!isFairLiteral(guard, url)) return false;
  const host = plainHost(url.hostname);
  if (isIP(host) !== 0) return true;
  const stop = new AbortController();
  const looked = new Promise<boolean>((resolve) => {
    // A name that has no address now may have one later; then it is looked at again.
    guard.lookup(host, { all: true }, (error) => resolve(!(error instanceof AddressRefused)));
  });
  const late = sleep(LOOKUP_MS, true, { signal: stop.signal }).catch(() => true);
  const fair = await Promise.race([looked, late]);
  stop.abort();
  return fair;
}
