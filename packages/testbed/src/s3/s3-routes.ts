import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Bucket, BucketStore, StoredS3Object } from './bucket-store.ts';
import { type ReceivedRequest, S3Fault } from './s3-fault.ts';

export interface Exchange extends ReceivedRequest {
  store: BucketStore;
  incoming: IncomingMessage;
  response: ServerResponse;
  bucketName: string;
  key: string;
  /** What the body must hash to; null when it was not signed. */
  sha256: string | null;
}

/** The calls that the product's driver and its tests make; anything else is 501. */
export async function route(exchange: Exchange): Promise<void> {
  const { method, query, key, bucketName, store } = exchange;
  if (bucketName === '') throw new S3Fault(501, 'NotImplemented');
  if (key === '') {
    if (method === 'PUT' && query.size === 0) return makeBucket(exchange);
    const bucket = store.bucket(bucketName);
    if (method === 'HEAD') return answer(exchange, 200);
    if (method === 'GET' && query.has('uploads')) return listUploads(exchange, bucket);
    if (method === 'GET' && query.get('list-type') === '2') return listObjects(exchange, bucket);
    throw new S3Fault(501, 'NotImplemented');
  }
  const bucket = store.bucket(bucketName);
  const upload = query.get('uploadId');
  if (method === 'PUT' && upload !== null) return putPart(exchange, bucket, upload);
  if (method === 'PUT') return putObject(exchange, bucket);
  if (method === 'POST' && query.has('uploads')) return startUpload(exchange, bucket);
  if (method === 'POST' && upload !== null) return completeUpload(exchange, bucket, upload);
  if (method === 'GET' && upload !== null) return listParts(exchange, bucket, upload);
  if (method === 'DELETE' && upload !== null) {
    await store.abort(bucket, upload, key);
    return answer(exchange, 204);
  }
  if (method === 'GET' || method === 'HEAD') return getObject(exchange, bucket);
  if (method === 'DELETE') {
    const old = bucket.objects.get(key);
    bucket.objects.delete(key);
    if (old) await store.drop(old.blobs);
    return answer(exchange, 204);
  }
  throw new S3Fault(501, 'NotImplemented');
}

function makeBucket(exchange: Exchange): void {
  const { store, bucketName } = exchange;
  if (store.buckets.has(bucketName)) throw new S3Fault(409, 'BucketAlreadyOwnedByYou');
  store.buckets.set(bucketName, { objects: new Map(), uploads: new Map() });
  answer(exchange, 200);
}

async function putObject(exchange: Exchange, bucket: Bucket): Promise<void> {
  const { headers, key, store } = exchange;
  const condition = headers['if-none-match'];
  if (condition !== undefined && condition !== '*') throw new S3Fault(501, 'NotImplemented');
  const blob = await receive(exchange);
  const etag = blob.md5.toString('hex');
  const object = { blobs: [blob], size: blob.size, etag, modified: new Date() };
  await store.place(bucket, key, object, condition === '*');
  answer(exchange, 200, { etag: `"${etag}"` });
}

async function putPart(exchange: Exchange, bucket: Bucket, upload: string): Promise<void> {
  const { key, query, store } = exchange;
  const number = Number(query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > 10_000) throw new S3Fault(400, 'InvalidArgument');
  store.upload(bucket, upload, key);
  const blob = await receive(exchange);
  await store.putPart(bucket, upload, key, number, blob);
  answer(exchange, 200, { etag: `"${blob.md5.toString('hex')}"` });
}

function receive({ headers, incoming, sha256, store }: Exchange) {
  const length = headers['content-length'];
  if (length === undefined) throw new S3Fault(411, 'MissingContentLength');
  const md5 = headers['content-md5'];
  return store.receive(incoming, { length: Number(length), sha256, ...(md5 === undefined ? {} : { md5 }) });
}

function startUpload(exchange: Exchange, bucket: Bucket): void {
  const { bucketName, key } = exchange;
  const id = randomUUID();
  bucket.uploads.set(id, { key, started: new Date(), parts: new Map() });
  xml(exchange, 'InitiateMultipartUploadResult', { Bucket: bucketName, Key: key, UploadId: id });
}

async function completeUpload(exchange: Exchange, bucket: Bucket, upload: string): Promise<void> {
  const { bucketName, incoming, key, store } = exchange;
  const body = await text(incoming);
  const named = [...body.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
    etag: (/<ETag>(.*?)</.exec(part)?.[1] ?? '').replaceAll('&quot;', '').replaceAll('"', ''),
  }));
  const etag = await store.complete(bucket, upload, key, named);
  xml(exchange, 'CompleteMultipartUploadResult', { Bucket: bucketName, Key: key, ETag: `"${etag}"` });
}

async function getObject(exchange: Exchange, bucket: Bucket): Promise<void> {
  const { headers, key, method, response } = exchange;
  const object = bucket.objects.get(key);
  if (!object) throw new S3Fault(404, 'NoSuchKey');
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]) + 1, object.size) : object.size;
  if (range && start >= object.size) throw new S3Fault(416, 'InvalidRange');
  response.writeHead(range ? 206 : 200, {
    'content-length': end - start,
    ...namedBy(exchange.query),
    etag: `"${object.etag}"`,
    'last-modified': object.modified.toUTCString(),
    ...(range ? { 'content-range': `bytes ${start}-${end - 1}/${object.size}` } : {}),
  });
  if (method === 'HEAD' || end === start) response.end();
  else await pipeline(Readable.from(read(object, start, end), { objectMode: false }), response);
}

/** Headers that a link asks for. */
function namedBy(query: URLSearchParams): Record<string, string> {
  const names = ['content-type', 'content-disposition'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = query.get(`response-${name}`);
      return value === null ? [] : [[name, value]];
    }),
  );
}

async function* read(object: StoredS3Object, start: number, end: number): AsyncGenerator<Buffer> {
  let at = 0;
  for (const { path, size } of object.blobs) {
    const from = Math.max(0, start - at);
    const to = Math.min(size, end - at);
    if (from < to) yield* createReadStream(path, { start: from, end: to - 1, highWaterMark: 1 << 18 });
    at += size;
  }
}

function listObjects(exchange: Exchange, bucket: Bucket): void {
  const { bucketName, query } = exchange;
  const prefix = query.get('prefix') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const most = Math.min(Number(query.get('max-keys') ?? 1000), 1000);
  const keys = [...bucket.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, most);
  const encoded = query.get('encoding-type') === 'url';
  xml(exchange, 'ListBucketResult', {
    Name: bucketName,
    ...(encoded ? { EncodingType: 'url' } : {}),
    Prefix: prefix,
    KeyCount: page.length,
    MaxKeys: most,
    IsTruncated: keys.length > page.length,
    ...(keys.length > page.length ? { NextContinuationToken: page.at(-1) ?? '' } : {}),
    Contents: page.map((key) => {
      const object = bucket.objects.get(key);
      return {
        Key: encoded ? encodeURIComponent(key).replaceAll('%20', '+') : key,
        LastModified: object?.modified.toISOString() ?? '',
        ETag: `"${object?.etag}"`,
        Size: object?.size ?? 0,
      };
    }),
  });
}

function listUploads(exchange: Exchange, bucket: Bucket): void {
  const { bucketName, query } = exchange;
  const prefix = query.get('prefix') ?? '';
  const most = Math.min(Number(query.get('max-uploads') ?? 1000), 1000);
  const order = ([id, { key }]: [string, { key: string }]): string => `${key}\0${id}`;
  const keyMarker = query.get('key-marker') ?? '';
  // Without an id the marker stands behind every upload of its key.
  const after = keyMarker === '' ? '' : `${keyMarker}\0${query.get('upload-id-marker') ?? '\uffff'}`;
  const found = [...bucket.uploads]
    .filter((entry) => entry[1].key.startsWith(prefix) && order(entry) > after)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  const page = found.slice(0, most);
  const last = page.at(-1);
  xml(exchange, 'ListMultipartUploadsResult', {
    Bucket: bucketName,
    IsTruncated: found.length > page.length,
    ...(last ? { NextKeyMarker: last[1].key, NextUploadIdMarker: last[0] } : {}),
    Upload: page.map(([id, upload]) => ({
      Key: upload.key,
      UploadId: id,
      Initiated: upload.started.toISOString(),
    })),
  });
}

function listParts(exchange: Exchange, bucket: Bucket, id: string): void {
  const { bucketName, key, query, store } = exchange;
  const most = Math.min(Number(query.get('max-parts') ?? 1000), 1000);
  const after = Number(query.get('part-number-marker') ?? 0);
  const parts = [...store.upload(bucket, id, key).parts]
    .filter(([number]) => number > after)
    .sort(([a], [b]) => a - b);
  const page = parts.slice(0, most);
  xml(exchange, 'ListPartsResult', {
    ...{ Bucket: bucketName, Key: key, UploadId: id, IsTruncated: parts.length > page.length },
    Part: page.map(([number, { size, md5 }]) => ({
      ...{ PartNumber: number, ETag: `"${md5.toString('hex')}"`, Size: size },
    })),
  });
}

export function answer({ response }: Pick<Exchange, 'response'>, status: number, headers = {}): void {
  response.writeHead(status, { 'content-length': 0, ...headers }).end();
}

type Fields = Record<string, string | number | boolean | Record<string, string | number>[]>;

function xml({ response }: Exchange, root: string, fields: Fields): void {
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${element(root, fields)}`);
  response.writeHead(200, { 'content-type': 'application/xml', 'content-length': body.length }).end(body);
}

function element(name: string, content: string | number | boolean | Fields): string {
  if (typeof content !== 'object') {
    const safe = String(content).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
    return `<${name}>${safe}</${name}>`;
  }
  const inside = Object.entries(content).map(([field, value]) =>
    Array.isArray(value) ? value.map((one) => element(field, one)).join('') : element(field, value),
  );
  return `<${name}>${inside.join('')}</${name}>`;
}
