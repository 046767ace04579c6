/** The archive format: gzip members, the tar inside, the manifest. `docs/archive-format.md` has the bytes. */
export * from './manifest.ts';
export * from './member-reader.ts';
export * from './member-stream.ts';
export * from './names.ts';
export * from './root-list.ts';
export * from './tar-walker.ts';
export * from './types.ts';
