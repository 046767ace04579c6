import { DecryptCommand, EncryptCommand, KMSClient, KMSServiceException } from '@aws-sdk/client-kms';
import { AppError } from '@tarfleet/kernel';
import type { KeyringKey } from './keyring-key.ts';
import type { KeyIds } from './wrapped-key.ts';

export interface KmsKeyOptions {
  name: string;
  /** Id, ARN or alias. */
  keyId: string;
  region: string;
  /** Another address than AWS's own. */
  endpoint?: string;
}

/** To connect, and for an answer, in milliseconds. */
const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
/** KMS's way to say that the bytes are not this key's, or not for this context. */
const NOT_OURS = new Set(['InvalidCiphertextException', 'IncorrectKeyException']);

/**
 * A symmetric key in AWS KMS. Credentials come from where the AWS SDK looks for them. Errors while KMS is out of
 * reach are UNAVAILABLE (retryable); its refusals are ENCRYPTION_KEY_NOT_FOUND.
 */
export function kmsKey({ name, keyId, region, endpoint }: KmsKeyOptions): KeyringKey {
  const client = new KMSClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
    },
  });
  const to = (signal?: AbortSignal) => (signal ? { abortSignal: signal } : {});
  return {
    name,
    kind: 'aws-kms',
    async wrap(dataKey, ids, signal) {
      const command = new EncryptCommand({
        KeyId: keyId,
        Plaintext: dataKey,
        EncryptionContext: context(name, ids),
      });
      const { CiphertextBlob } = await client.send(command, to(signal)).catch((error: unknown) => {
        signal?.throwIfAborted();
        return fail(name, error);
      });
      if (!CiphertextBlob) throw unavailable(name, 'it gave no ciphertext');
      const ciphertext = Buffer.from(CiphertextBlob).toString('base64');
      return { v: 1, format: 'tarfleet-key', keyName: name, kind: 'aws-kms', ciphertext };
    },
    async unwrap(wrapped, ids, signal) {
      if (wrapped.kind !== 'aws-kms' || wrapped.keyName !== name) return null;
      const command = new DecryptCommand({
        KeyId: keyId,
        CiphertextBlob: Buffer.from(wrapped.ciphertext, 'base64'),
        EncryptionContext: context(name, ids),
      });
      try {
        const { Plaintext } = await client.send(command, to(signal));
        return Plaintext?.length === 32 ? Buffer.from(Plaintext) : null;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof KMSServiceException && NOT_OURS.has(error.name)) return null;
        return fail(name, error);
      }
    },
  };
}

function context(keyName: string, { backupId, artifactId }: KeyIds): Record<string, string> {
  return { tarfleet_key: keyName, backup_id: backupId, artifact_id: artifactId };
}

function fail(name: string, error: unknown): never {
  const refused = error instanceof KMSServiceException && (error.$metadata.httpStatusCode ?? 500) < 500;
  if (!refused || error.name === 'ThrottlingException') {
    throw unavailable(name, error instanceof Error ? error.name : 'no answer', error);
  }
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    `AWS KMS refuses the key ${name} (${error.name}). Check that the key is enabled and that this worker may use it.`,
    {
      cause: error,
    },
  );
}

function unavailable(name: string, what: string, cause?: unknown): AppError {
  return new AppError('UNAVAILABLE', `AWS KMS cannot be asked for the key ${name} (${what}).`, {
    retryable: true,
    cause,
  });
}
