import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { S3Fault } from './s3-fault.ts';

/** Bytes on disk, in a file of its own. */
export interface Blob {
  path: string;
  size: number;
  md5: Buffer;
}

export interface StoredS3Object {
  blobs: Blob[];
  size: number;
  etag: string;
  modified: Date;
}

export interface Upload {
  key: string;
  started: Date;
  parts: Map<number, Blob>;
}

export interface Bucket {
  objects: Map<string, StoredS3Object>;
  uploads: Map<string, Upload>;
}

const SMALLEST_PART = 5 * 1024 * 1024;

/** Buckets by name: their lists in memory, so that every change is at once and whole; their bytes on disk. */
export class BucketStore {
  readonly buckets = new Map<string, Bucket>();
  readonly #dir: string;
  readonly #quota: number;
  #used = 0;

  constructor(dir: string, quotaBytes = Number.POSITIVE_INFINITY) {
    this.#dir = dir;
    this.#quota = quotaBytes;
  }

  bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new S3Fault(404, 'NoSuchBucket');
    return bucket;
  }

  upload(bucket: Bucket, id: string, key: string): Upload {
    const upload = bucket.uploads.get(id);
    if (upload?.key !== key) throw new S3Fault(404, 'NoSuchUpload');
    return upload;
  }

  /** Takes a body to disk, whole and as it was announced, or not at all. */
  async receive(
    body: Readable,
    announced: { length: number; sha256: string | null; md5?: string },
  ): Promise<Blob> {
    const refuseWhenFull = (): void => {
      if (this.#used + announced.length > this.#quota) throw new S3Fault(403, 'QuotaExceeded');
    };
    refuseWhenFull();
    const path = join(this.#dir, randomBytes(12).toString('hex'));
    const md5 = createHash('md5');
    const sha256 = createHash('sha256');
    let size = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        md5.update(chunk);
        sha256.update(chunk);
        size += chunk.length;
        done(null, chunk);
      },
    });
    const blob = { path, size: announced.length, md5: Buffer.alloc(0) };
    try {
      await pipeline(body, count, createWriteStream(path));
      blob.md5 = md5.digest();
      if (size !== announced.length) throw new S3Fault(400, 'IncompleteBody');
      if (announced.md5 && blob.md5.toString('base64') !== announced.md5) throw new S3Fault(400, 'BadDigest');
      if (announced.sha256 && sha256.digest('hex') !== announced.sha256) {
        throw new S3Fault(400, 'XAmzContentSHA256Mismatch');
      }
      refuseWhenFull();
      this.#used += blob.size;
      return blob;
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Removes what `receive` gave. */
  async drop(blobs: Iterable<Blob>): Promise<void> {
    for (const blob of blobs) {
      this.#used -= blob.size;
      await rm(blob.path, { force: true });
    }
  }

  /** Puts an object in place, or throws and drops it when its key must be free and is not. */
  async place(bucket: Bucket, key: string, object: StoredS3Object, ifFree = false): Promise<void> {
    const old = bucket.objects.get(key);
    if (old && ifFree) {
      await this.drop(object.blobs);
      throw new S3Fault(412, 'PreconditionFailed');
    }
    bucket.objects.set(key, object);
    if (old) await this.drop(old.blobs);
  }

  async putPart(bucket: Bucket, id: string, key: string, number: number, blob: Blob): Promise<void> {
    const upload = bucket.uploads.get(id);
    if (upload?.key !== key) {
      await this.drop([blob]);
      throw new S3Fault(404, 'NoSuchUpload');
    }
    const old = upload.parts.get(number);
    upload.parts.set(number, blob);
    if (old) await this.drop([old]);
  }

  async complete(
    bucket: Bucket,
    id: string,
    key: string,
    named: { number: number; etag: string }[],
  ): Promise<string> {
    const upload = this.upload(bucket, id, key);
    const blobs: Blob[] = [];
    let last = 0;
    for (const { number, etag } of named) {
      if (number <= last) throw new S3Fault(400, 'InvalidPartOrder');
      last = number;
      const blob = upload.parts.get(number);
      if (!blob || blob.md5.toString('hex') !== etag) throw new S3Fault(400, 'InvalidPart');
      blobs.push(blob);
    }
    if (blobs.length === 0) throw new S3Fault(400, 'MalformedXML');
    if (blobs.slice(0, -1).some((blob) => blob.size < SMALLEST_PART))
      throw new S3Fault(400, 'EntityTooSmall');
    bucket.uploads.delete(id);
    const hash = createHash('md5');
    for (const blob of blobs) hash.update(blob.md5);
    const etag = `${hash.digest('hex')}-${blobs.length}`;
    const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
    await this.drop([...upload.parts.values()].filter((blob) => !blobs.includes(blob)));
    await this.place(bucket, key, { blobs, size, etag, modified: new Date() });
    return etag;
  }

  async abort(bucket: Bucket, id: string, key: string): Promise<void> {
    const upload = this.upload(bucket, id, key);
    bucket.uploads.delete(id);
    await this.drop(upload.parts.values());
  }
}
