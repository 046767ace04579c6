export { createStorage, type StorageOptions } from './create-storage.ts';
export type { GetOptions, ListedObject, PutOptions, PutResult, Storage, StoredObject } from './types.ts';
