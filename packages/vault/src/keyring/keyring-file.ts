import { randomBytes } from 'node:crypto';
import { createParser, KeyName } from '@tarfleet/contracts';
import { EnvError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import type { KeyringContent } from './keyring.ts';
import type { KeyringKey } from './keyring-key.ts';
import { kmsKey } from './kms-key.ts';
import { passphraseKey } from './passphrase-key.ts';
import { rawKey } from './raw-key.ts';
import { readKeyFile } from './read-key-file.ts';
import { formatRecoveryKey, parseRecoveryKey } from './recovery-key.ts';

const closed = { additionalProperties: false } as const;

const KeyringFile = Type.Object(
  {
    v: Type.Literal(1),
    /** For new backups; null for a keyring that only reads. */
    primary: Type.Union([KeyName, Type.Null()]),
    keys: Type.Array(
      Type.Union([
        Type.Object(
          {
            name: KeyName,
            kind: Type.Literal('raw'),
            /** 32 bytes in base64. */
            key: Type.String({ pattern: '^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$' }),
          },
          closed,
        ),
        Type.Object(
          { name: KeyName, kind: Type.Literal('file'), path: Type.String({ pattern: '^/' }) },
          closed,
        ),
        /** A raw key as it was written down; its name is in it. */
        Type.Object({ kind: Type.Literal('recovery'), recoveryKey: Type.String() }, closed),
        Type.Object({ name: KeyName, kind: Type.Literal('passphrase'), passphrase: Type.String() }, closed),
        Type.Object(
          {
            name: KeyName,
            kind: Type.Literal('aws-kms'),
            keyId: Type.String({ minLength: 1 }),
            region: Type.String({ minLength: 1 }),
            endpoint: Type.Optional(Type.String({ minLength: 1 })),
          },
          closed,
        ),
      ]),
    ),
  },
  closed,
);
type KeyringFile = Static<typeof KeyringFile>;

const parse = createParser(KeyringFile);

/** A keyring as JSON (`KEYRING_FILE`). Reads the files that it names. Throws EnvError naming every fault, and no key. */
export function parseKeyringFile(text: string): KeyringContent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes its input, which holds keys: it goes no further.
    throw new EnvError(`The keyring (KEYRING_FILE) is not JSON (${text.length} characters).`);
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version !== 1) {
    throw new EnvError(`The keyring (KEYRING_FILE) is of version ${version}; this program reads version 1.`);
  }
  const parsed = parse(value);
  if (!parsed.ok) {
    throw new EnvError(
      `The keyring (KEYRING_FILE) is not usable:\n${parsed.faults.map((one) => `  ${one}`).join('\n')}`,
    );
  }
  const { primary } = parsed.value;
  const keys = parsed.value.keys.map(toKey);
  if (primary !== null && !keys.some(({ name }) => name === primary)) {
    throw new EnvError(`The keyring (KEYRING_FILE) has no key of the name ${primary}, its primary one.`);
  }
  return { keys, primary };
}

/** The primary key of a keyring as somebody can write it down; null when it is not 32 bytes that stand there. */
export function recoveryKeyOf(text: string): string | null {
  parseKeyringFile(text);
  const { primary, keys } = JSON.parse(text) as KeyringFile;
  for (const key of keys) {
    if (key.kind === 'raw' && key.name === primary) {
      return formatRecoveryKey(key.name, Buffer.from(key.key, 'base64'));
    }
  }
  return null;
}

/** A keyring with one new key. */
export function newKeyringFile(now: Date = new Date()): KeyringFile {
  const name = `key-${now.toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')}`;
  return { v: 1, primary: name, keys: [{ name, kind: 'raw', key: randomBytes(32).toString('base64') }] };
}

function toKey(key: KeyringFile['keys'][number]): KeyringKey {
  switch (key.kind) {
    case 'raw':
      return rawKey(key.name, Buffer.from(key.key, 'base64'));
    case 'recovery':
      return recoveredKey(key.recoveryKey);
    case 'file':
      return rawKey(key.name, readKeyFile(key));
    case 'passphrase':
      return passphraseKey(key.passphrase, key.name);
    case 'aws-kms':
      return kmsKey(key);
  }
}

function recoveredKey(text: string): KeyringKey {
  try {
    const { name, key } = parseRecoveryKey(text);
    return rawKey(name, key);
  } catch (error) {
    if (error instanceof EnvError) throw new EnvError(`In the keyring (KEYRING_FILE): ${error.message}`);
    throw error;
  }
}
