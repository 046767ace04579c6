/** Sealed credentials, signed plans, and the keys of each process. */

/** A pool's public key, as the API holds it. */
export interface PoolPublicKey {
  keyId: string;
  /** base64url of the 32 raw bytes of an X25519 key. */
  publicKey: string;
}

/** A pool's private key, as its workers hold it. */
export interface PoolPrivateKey extends PoolPublicKey {
  /** base64url of the 32 raw bytes. */
  privateKey: string;
}

/** Checks plans, as workers hold it. */
export interface SigningPublicKey {
  keyId: string;
  /** base64url of the 32 raw bytes of an Ed25519 key. */
  publicKey: string;
}

/** Signs plans, as the API holds it. */
export interface SigningKey extends SigningPublicKey {
  /** base64url of the 32 raw bytes (the seed, RFC 8032). */
  privateKey: string;
}

/** A symmetric key of the API's own. */
export interface BoxKey {
  keyId: string;
  /** base64url of 32 bytes. */
  key: string;
}
