import { type LookupAddress, type LookupAllOptions, lookup as lookupDns } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Which addresses a request of somebody else's choice may go to. */
export interface AddressGuard {
  /** Whether a connection to this address, reached by this name, is fair. */
  allows(address: string, host: string): boolean;
  /** What a name resolves to; rejects with AddressRefused when none of it is fair. */
  lookup: LookupFunction;
}

/** The message is for users: it names no address. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
  constructor() {
    super(
      'The address is not one of the public Internet. An administrator may allow it with WEBHOOK_ALLOWED in the API’s environment.',
    );
  }
}

export type Resolve = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

type Address = ipaddr.IPv4 | ipaddr.IPv6;
export interface AllowedAddresses {
  hosts: ReadonlySet<string>;
  networks: readonly [Address, number][];
}

const HOST = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;

/** A list with commas between: networks (`10.0.0.0/8`), addresses, names of hosts. Throws Error on anything else. */
export function parseAllowed(list: string): AllowedAddresses {
  const hosts = new Set<string>();
  const networks: [Address, number][] = [];
  for (const item of list.split(',').map((one) => one.trim().toLowerCase())) {
    if (item === '') continue;
    if (ipaddr.isValidCIDR(item)) networks.push(ipaddr.parseCIDR(item));
    else if (ipaddr.IPv6.isValid(item)) networks.push([ipaddr.parse(item), 128]);
    else if (ipaddr.IPv4.isValidFourPartDecimal(item)) networks.push([ipaddr.parse(item), 32]);
    else if (HOST.test(item) && !ipaddr.isValid(item)) hosts.add(item);
    else throw new Error(`${item} is neither a network, such as 10.0.0.0/8, nor an address nor a host name`);
  }
  return { hosts, networks };
}

/**
 * Lets through what the registries of IANA call globally reachable, and what is in `allowed`. The same answer of the
 * resolver that is looked at here is what is connected to, so a name that means something else a moment later
 * gains nothing.
 */
export function createAddressGuard(
  { hosts, networks }: AllowedAddresses,
  resolve: Resolve = lookupDns,
): AddressGuard {
  const allows: AddressGuard['allows'] = (text, host) => {
    if (hosts.has(plainHost(host))) return true;
    if (!ipaddr.isValid(text)) return false;
    // An IPv4 address in IPv6's clothes is reached over IPv4.
    const address = ipaddr.process(text);
    const allowed = networks.some(
      ([network, bits]) => network.kind() === address.kind() && address.match([network, bits]),
    );
    return allowed || isPublic(address);
  };
  const lookup: LookupFunction = (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const fair = addresses.filter(({ address }) => allows(address, host));
      const [first] = fair;
      if (!first) return callback(new AddressRefused(), []);
      return options.all ? callback(null, fair) : callback(null, first.address, first.family);
    });
  };
  return { allows, lookup };
}

/** As a list of allowed names has it: without brackets and the dot of the root. */
export function plainHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  // Of IPv6, the one block that is given out (RFC 4291, 2.4); elsewhere are old ways to write IPv4 addresses.
  return !(address instanceof ipaddr.IPv6) || ((address.parts[0] ?? 0) & 0xe000) === 0x2000;
}
