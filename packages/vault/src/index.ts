export * from './generate-keys.ts';
export * from './key-files.ts';
export {
  archiveOfKeyObject,
  openDataKey,
  rewrapDataKey,
  storeDataKey,
} from './keyring/data-keys.ts';
export { createKeyring, type Keyring } from './keyring/keyring.ts';
export { newKeyringFile, parseKeyringFile } from './keyring/keyring-file.ts';
export { macMatches, macOf } from './keyring/mac.ts';
export { passphraseKey } from './keyring/passphrase-key.ts';
export { createPasswords, type Passwords } from './passwords.ts';
export { createPlanReader, type PlanExpectation, type PlanReader } from './plan-reader.ts';
export { createPlanSigner, type PlanSigner } from './plan-signer.ts';
export * from './seal.ts';
export * from './seal-info.ts';
export * from './secret-box.ts';
export * from './types.ts';
