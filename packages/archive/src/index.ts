/** The archive format: gzip members, the tar inside, the manifest. `docs/archive-format.md` has the bytes. */
export * from './encryption/archive-aad.ts';
export * from './encryption/decrypt-stream.ts';
export * from './encryption/encrypt-stream.ts';
export type { EncryptionOptions } from './encryption/format.ts';
export * from './encryption/range-decrypter.ts';
export * from './encryption/sizes.ts';
export * from './manifest.ts';
export * from './member-reader.ts';
export * from './member-stream.ts';
export * from './names.ts';
export * from './root-list.ts';
export * from './tar-walker.ts';
export * from './types.ts';
