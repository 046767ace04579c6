/** What is captured: a driver for each kind of source. */
export { createDatabaseSource } from './databases/create-database-source.ts';
export type { DatabaseSourceOptions } from './databases/database-source-options.ts';
export { createFilesSource, type FilesSourceOptions } from './files/create-files-source.ts';
export { captureRecords } from './records/capture-records.ts';
export { readRecords } from './records/read-records.ts';
export * from './types.ts';
