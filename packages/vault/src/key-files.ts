import { createParser, PoolName } from '@tarfleet/contracts';
import { EnvError } from '@tarfleet/kernel';
import { type Static, type TSchema, Type } from 'typebox';
import { belongTogether, type Curve } from './raw-keys.ts';

const closed = { additionalProperties: false } as const;
/** Without dots, so that it can stand inside a sealed text. */
const KeyId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' });
/** 32 bytes in base64url, without padding. */
const Bytes32 = Type.String({ pattern: '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$' });
const PublicKey = Type.Object({ keyId: KeyId, publicKey: Bytes32 }, closed);
const KeyPair = Type.Object({ keyId: KeyId, publicKey: Bytes32, privateKey: Bytes32 }, closed);

/** `api-keys.json`: what the API alone holds. In each list the first key is in use, the others are still accepted. */
export const ApiKeys = Type.Object(
  {
    v: Type.Literal(1),
    jwtSecret: Bytes32,
    signing: Type.Array(KeyPair, { minItems: 1 }),
    box: Type.Array(Type.Object({ keyId: KeyId, key: Bytes32 }, closed), { minItems: 1 }),
  },
  closed,
);
export type ApiKeys = Static<typeof ApiKeys>;

/** `pool-<name>.json`: what that pool's workers hold; `signers` are those whose plans they obey. */
export const PoolKeys = Type.Object(
  {
    v: Type.Literal(1),
    pool: PoolName,
    keys: Type.Array(KeyPair, { minItems: 1 }),
    signers: Type.Array(PublicKey, { minItems: 1 }),
  },
  closed,
);
export type PoolKeys = Static<typeof PoolKeys>;

/** `pools.json`: public; the key that the API seals with, for each pool. */
export const Pools = Type.Object(
  {
    v: Type.Literal(1),
    pools: Type.Record(PoolName, Type.Object({ current: PublicKey }, closed), closed),
  },
  closed,
);
export type Pools = Static<typeof Pools>;

/** Throws EnvError naming every fault, and no key. */
export function parseApiKeys(text: string): ApiKeys {
  const keys = parseFile('API key file', ApiKeys, text);
  const faults = [
    ...repeated('signing', keys.signing),
    ...repeated('box', keys.box),
    ...mismatched('signing', 'Ed25519', keys.signing),
  ];
  return refuse('API key file', faults) ?? keys;
}

/** Throws EnvError naming every fault, and no key. */
export function parsePoolKeys(text: string): PoolKeys {
  const keys = parseFile('pool key file', PoolKeys, text);
  const faults = [
    ...repeated('keys', keys.keys),
    ...repeated('signers', keys.signers),
    ...mismatched('keys', 'X25519', keys.keys),
  ];
  return refuse('pool key file', faults) ?? keys;
}

/** Throws EnvError naming every fault. */
export function parsePools(text: string): Pools {
  return parseFile('pools file', Pools, text);
}

function parseFile<S extends TSchema>(name: string, schema: S, text: string): Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes its input, which holds keys: it goes no further.
    throw new EnvError(`The ${name} is not JSON (${text.length} characters).`);
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version !== 1) {
    throw new EnvError(`The ${name} is of version ${version}; this program reads version 1.`);
  }
  const parsed = createParser(schema)(value);
  if (parsed.ok) return parsed.value;
  refuse(name, parsed.faults);
  throw new EnvError(`The ${name} is not usable.`);
}

function refuse(name: string, faults: string[]): undefined {
  if (faults.length === 0) return undefined;
  throw new EnvError(`The ${name} is not usable:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
}

function repeated(list: string, keys: readonly { keyId: string }[]): string[] {
  const ids = keys.map((key) => key.keyId);
  const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
  return [...twice].map((id) => `/${list} names key ${id} twice`);
}

function mismatched(
  list: string,
  curve: Curve,
  keys: readonly { keyId: string; privateKey: string; publicKey: string }[],
): string[] {
  return keys
    .filter((key) => !belongTogether(curve, key))
    .map((key) => `/${list}: the halves of key ${key.keyId} do not belong together`);
}
