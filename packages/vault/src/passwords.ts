import { type Algorithm, hash, verify } from '@node-rs/argon2';

export interface Passwords {
  hash(password: string): Promise<string>;
  /** Without a stored hash, as for an unknown user, takes the same time and is false. */
  check(stored: string | null, password: string): Promise<boolean>;
}

/** argon2id with OWASP's parameters: 19 MiB, two passes, one lane. */
const PARAMETERS = {
  algorithm: 2 satisfies Algorithm.Argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
};

export function createPasswords(): Passwords {
  // Of a password that nobody knows: unknown users cost as much time as known ones.
  const decoy = hash(crypto.randomUUID(), PARAMETERS);
  // Whoever needs it awaits it; until then its failure is nobody's.
  decoy.catch(() => undefined);
  return {
    hash: (password) => hash(password, PARAMETERS),
    async check(stored, password) {
      const right = await verify(stored ?? (await decoy), password);
      return stored !== null && right;
    },
  };
}
