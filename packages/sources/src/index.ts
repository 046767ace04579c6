/** What is captured: a driver for each kind of source. */
export { createDatabaseSource, type DatabaseSourceOptions } from './databases/create-database-source.ts';
export { createFilesSource, type FilesSourceOptions } from './files/create-files-source.ts';
export * from './types.ts';
