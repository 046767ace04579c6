import { createHash, createHmac } from 'node:crypto';

export interface S3Account {
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

/** A request as it is signed: names of headers in lower case, the path as it travels. */
export interface SignedParts {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Record<string, string>;
  signedHeaders: string[];
  payloadHash: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  date: string;
}

export const sha256Hex = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

/** AWS Signature Version 4 for S3, as "Authenticating Requests: Using the Authorization Header" describes it. */
export function signatureOf(parts: SignedParts, account: S3Account): string {
  const encode = (text: string): string =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const query = [...parts.query]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const headers = parts.signedHeaders.map(
    (name) => `${name}:${(parts.headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`,
  );
  const request = [
    ...[parts.method, parts.path, query, headers.join('')],
    ...[parts.signedHeaders.join(';'), parts.payloadHash],
  ].join('\n');
  const scope = scopeOf(parts.date, account);
  const toSign = ['AWS4-HMAC-SHA256', parts.date, scope, sha256Hex(request)].join('\n');
  const hmac = (key: string | Buffer, text: string): Buffer =>
    createHmac('sha256', key).update(text).digest();
  const [day = '', region = '', service = '', end = ''] = scope.split('/');
  const key = [region, service, end].reduce(hmac, hmac(`AWS4${account.secretAccessKey}`, day));
  return hmac(key, toSign).toString('hex');
}

export function scopeOf(date: string, { region }: { region: string }): string {
  return `${date.slice(0, 8)}/${region}/s3/aws4_request`;
}

/** One signed request without a body, for what a test needs beside the driver that it tests. */
export async function signedFetch(method: string, url: string, account: S3Account): Promise<Response> {
  const { host, pathname, searchParams } = new URL(url);
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const payloadHash = sha256Hex('');
  const headers = { host, 'x-amz-content-sha256': payloadHash, 'x-amz-date': date };
  const signedHeaders = Object.keys(headers);
  const parts = { method, path: pathname, query: searchParams, headers, signedHeaders, payloadHash, date };
  const credential = `${account.accessKeyId}/${scopeOf(date, account)}`;
  const signature = signatureOf(parts, account);
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`;
  return fetch(url, { method, headers: { ...headers, authorization } });
}
