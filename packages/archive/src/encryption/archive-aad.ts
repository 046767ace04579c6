/** Of the bytes below and of what they are bound to; not the manifest's. */
const FORMAT_VERSION = 2;

export interface ArchiveIdentity {
  backupId: string;
  artifactId: string;
  /** An artifact's archive and its index have one key, and must not be taken for one another. */
  role: 'archive' | 'index';
}

/**
 * The associated data of an encrypted object: what it is, so that none can be put in another's place. It is the
 * UTF-8 text of a compact JSON array, no spaces: `["tarfleet",2,"<backupId>","<artifactId>","archive"]`, the last
 * one being the role. Ids are UUIDs as the manifest has them.
 */
export function archiveAad({ backupId, artifactId, role }: ArchiveIdentity): Buffer {
  return Buffer.from(JSON.stringify(['tarfleet', FORMAT_VERSION, backupId, artifactId, role]));
}
