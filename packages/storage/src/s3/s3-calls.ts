import {
  AbortMultipartUploadCommand,
  type AbortMultipartUploadCommandInput,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  type CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  type CreateMultipartUploadCommandOutput,
  DeleteObjectCommand,
  type DeleteObjectCommandInput,
  GetObjectCommand,
  type GetObjectCommandInput,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  type HeadBucketCommandInput,
  HeadObjectCommand,
  type HeadObjectCommandInput,
  type HeadObjectCommandOutput,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  ListPartsCommand,
  type ListPartsCommandInput,
  type ListPartsCommandOutput,
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
  type UploadPartCommandInput,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import type { S3Clients } from './s3-clients.ts';

/** One request to the server, for one bucket. It rejects with the signal's reason, or with an error as its decorator has it. */
type Call<Input, Output> = (input: Omit<Input, 'Bucket'>, signal: AbortSignal) => Promise<Output>;

/** The requests that the driver makes, so that decorators can be put around each by name. */
export interface S3Calls {
  putObject: Call<PutObjectCommandInput, unknown>;
  /** Only where the key is free. */
  createObject: Call<PutObjectCommandInput, unknown>;
  getObject: Call<GetObjectCommandInput, GetObjectCommandOutput>;
  headObject: Call<HeadObjectCommandInput, HeadObjectCommandOutput>;
  headBucket: Call<HeadBucketCommandInput, unknown>;
  deleteObject: Call<DeleteObjectCommandInput, unknown>;
  listObjects: Call<ListObjectsV2CommandInput, ListObjectsV2CommandOutput>;
  createUpload: Call<CreateMultipartUploadCommandInput, CreateMultipartUploadCommandOutput>;
  uploadPart: Call<UploadPartCommandInput, UploadPartCommandOutput>;
  completeUpload: Call<CompleteMultipartUploadCommandInput, CompleteMultipartUploadCommandOutput>;
  abortUpload: Call<AbortMultipartUploadCommandInput, unknown>;
  listParts: Call<ListPartsCommandInput, ListPartsCommandOutput>;
  listUploads: Call<ListMultipartUploadsCommandInput, ListMultipartUploadsCommandOutput>;
}

/** The library's own calls, its errors untouched. */
export function createS3Calls({ requests, downloads }: S3Clients, bucket: string): S3Calls {
  const Bucket = bucket;
  const to = (abortSignal: AbortSignal) => ({ abortSignal });
  return {
    putObject: (input, signal) => requests.send(new PutObjectCommand({ ...input, Bucket }), to(signal)),
    createObject: (input, signal) =>
      requests.send(new PutObjectCommand({ ...input, Bucket, IfNoneMatch: '*' }), to(signal)),
    getObject: (input, signal) => downloads.send(new GetObjectCommand({ ...input, Bucket }), to(signal)),
    headObject: (input, signal) => requests.send(new HeadObjectCommand({ ...input, Bucket }), to(signal)),
    headBucket: (input, signal) => requests.send(new HeadBucketCommand({ ...input, Bucket }), to(signal)),
    deleteObject: (input, signal) => requests.send(new DeleteObjectCommand({ ...input, Bucket }), to(signal)),
    listObjects: (input, signal) => requests.send(new ListObjectsV2Command({ ...input, Bucket }), to(signal)),
    createUpload: (input, signal) =>
      requests.send(new CreateMultipartUploadCommand({ ...input, Bucket }), to(signal)),
    uploadPart: (input, signal) => requests.send(new UploadPartCommand({ ...input, Bucket }), to(signal)),
    completeUpload: (input, signal) =>
      requests.send(new CompleteMultipartUploadCommand({ ...input, Bucket }), to(signal)),
    abortUpload: (input, signal) =>
      requests.send(new AbortMultipartUploadCommand({ ...input, Bucket }), to(signal)),
    listParts: (input, signal) => requests.send(new ListPartsCommand({ ...input, Bucket }), to(signal)),
    listUploads: (input, signal) =>
      requests.send(new ListMultipartUploadsCommand({ ...input, Bucket }), to(signal)),
  };
}
