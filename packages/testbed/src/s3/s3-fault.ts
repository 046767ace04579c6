import { type S3Account, scopeOf, signatureOf } from './sigv4.ts';

/** An error as S3 answers it. */
export class S3Fault extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export interface ReceivedRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Record<string, string>;
}

const LONGEST_SKEW_MS = 15 * 60_000;

/** Checks a request's signature; gives the hash that its body must have, or null when the body is not signed. */
export function authenticate(request: ReceivedRequest, account: S3Account): string | null {
  if (request.query.has('X-Amz-Signature')) return authenticateLink(request, account);
  const header = request.headers.authorization;
  if (!header) throw new S3Fault(403, 'AccessDenied');
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  const date = request.headers['x-amz-date'];
  const payloadHash = request.headers['x-amz-content-sha256'];
  if (!found || !date || !payloadHash) throw new S3Fault(400, 'AuthorizationHeaderMalformed');
  const [, accessKeyId, scope, signedHeaders = '', signature] = found;
  if (accessKeyId !== account.accessKeyId) throw new S3Fault(403, 'InvalidAccessKeyId');
  if (scope !== scopeOf(date, account)) throw new S3Fault(400, 'AuthorizationHeaderMalformed');
  const time = timeOf(date);
  if (!(Math.abs(Date.now() - time) < LONGEST_SKEW_MS)) throw new S3Fault(403, 'RequestTimeTooSkewed');
  const parts = { ...request, signedHeaders: signedHeaders.split(';'), payloadHash, date };
  if (signatureOf(parts, account) !== signature) throw new S3Fault(403, 'SignatureDoesNotMatch');
  return /^[0-9a-f]{64}$/.test(payloadHash) ? payloadHash : null;
}

/** A link: what else the headers say stands in its query ("Authenticating Requests: Using Query Parameters"). */
function authenticateLink(request: ReceivedRequest, account: S3Account): null {
  const query = new URLSearchParams(request.query);
  const take = (name: string): string => query.get(`X-Amz-${name}`) ?? '';
  const [date, signature] = [take('Date'), take('Signature')];
  const [accessKeyId = '', ...scope] = take('Credential').split('/');
  if (accessKeyId !== account.accessKeyId) throw new S3Fault(403, 'InvalidAccessKeyId');
  if (scope.join('/') !== scopeOf(date, account)) throw new S3Fault(400, 'AuthorizationQueryParametersError');
  const ends = timeOf(date) + Number(take('Expires')) * 1000;
  if (!(Date.now() < ends)) throw new S3Fault(403, 'AccessDenied');
  query.delete('X-Amz-Signature');
  const signedHeaders = take('SignedHeaders').split(';');
  const parts = { ...request, query, signedHeaders, payloadHash: 'UNSIGNED-PAYLOAD', date };
  if (signatureOf(parts, account) !== signature) throw new S3Fault(403, 'SignatureDoesNotMatch');
  return null;
}

/** NaN for what is no time. */
function timeOf(date: string): number {
  return Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}
