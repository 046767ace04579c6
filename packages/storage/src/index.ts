export { createStorage, type StorageOptions, type StorageTarget } from './create-storage.ts';
export { isKey } from './keys.ts';
export type {
  GetOptions,
  LinkOptions,
  ListedObject,
  PutOptions,
  PutResult,
  Storage,
  StoredObject,
} from './types.ts';
