/** AWS KMS's Encrypt and Decrypt over its JSON protocol, on this machine. It keeps no list: a blob holds all but the key. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

type Context = Record<string, string>;
interface Request {
  KeyId?: string;
  Plaintext?: string;
  CiphertextBlob?: string;
  EncryptionContext?: Context;
}
/** What KMS answers instead of doing its work. */
interface Refusal {
  status: number;
  type: string;
}

const TAG = 16;
const NONCE = 12;
const ID = 36;

export interface TestKms {
  endpoint: string;
  /** Makes a key; gives its id. */
  addKey(): string;
  disableKey(id: string): void;
  /** Every request from now on is answered so; 'never' is not answered at all; null: as it should be. */
  answer(how: Refusal | 'never' | null): void;
  /** The context of each request so far. */
  contexts: Context[];
  stop(): Promise<void>;
}

export async function startTestKms(): Promise<TestKms> {
  const keys = new Map<string, { key: Buffer; enabled: boolean }>();
  const contexts: Context[] = [];
  let forced: Refusal | 'never' | null = null;

  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.headers['x-amz-target'];
    const body = (await json(request)) as Request;
    contexts.push(body.EncryptionContext ?? {});
    if (forced === 'never') return;
    const signed = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/[a-z0-9-]+\/kms\/aws4_request,/;
    const answer =
      forced ??
      (signed.test(request.headers.authorization ?? '')
        ? act(String(target), body)
        : { status: 400, type: 'MissingAuthenticationTokenException' });
    const status = isRefusal(answer) ? answer.status : 200;
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(isRefusal(answer) ? { __type: answer.type, message: answer.type } : answer));
  }
  function act(target: string, body: Request): Refusal | Record<string, string> {
    const id = body.KeyId ?? '';
    const known = keys.get(id);
    if (!known) return { status: 400, type: 'NotFoundException' };
    if (!known.enabled) return { status: 400, type: 'DisabledException' };
    const aad = contextBytes(body.EncryptionContext ?? {});
    if (target === 'TrentService.Encrypt') {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', known.key, nonce).setAAD(aad);
      const sealed = [cipher.update(Buffer.from(body.Plaintext ?? '', 'base64')), cipher.final()];
      const blob = Buffer.concat([Buffer.from(id), nonce, ...sealed, cipher.getAuthTag()]);
      return { CiphertextBlob: blob.toString('base64'), KeyId: id, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    }
    if (target !== 'TrentService.Decrypt') return { status: 400, type: 'UnknownOperationException' };
    const blob = Buffer.from(body.CiphertextBlob ?? '', 'base64');
    const of = blob.toString('latin1', 0, ID);
    if (of !== id)
      return { status: 400, type: keys.has(of) ? 'IncorrectKeyException' : 'InvalidCiphertextException' };
    try {
      const decipher = createDecipheriv('aes-256-gcm', known.key, blob.subarray(ID, ID + NONCE)).setAAD(aad);
      decipher.setAuthTag(blob.subarray(-TAG));
      const plain = Buffer.concat([decipher.update(blob.subarray(ID + NONCE, -TAG)), decipher.final()]);
      return { Plaintext: plain.toString('base64'), KeyId: id, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    } catch {
      return { status: 400, type: 'InvalidCiphertextException' };
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    contexts,
    addKey() {
      const hex = randomBytes(16).toString('hex');
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      keys.set(id, { key: randomBytes(32), enabled: true });
      return id;
    },
    disableKey(id) {
      const known = keys.get(id);
      if (known) known.enabled = false;
    },
    answer(how) {
      forced = how;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function isRefusal(answer: Refusal | Record<string, string>): answer is Refusal {
  return 'status' in answer;
}

/** Whatever order its pairs come in. */
function contextBytes(context: Context): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))));
}
