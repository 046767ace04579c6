/** What is captured: a driver for each kind of source. */
export { createFilesSource, type FilesSourceOptions } from './files/create-files-source.ts';
export * from './types.ts';
