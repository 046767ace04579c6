import { isDeepStrictEqual } from 'node:util';
import type { ActiveRecordKind } from '@tarfleet/contracts';
import type { RecordRow } from '@tarfleet/db';

/**
 * What is there, with all of the backup's that may be set back: it equals what is there where nothing differs.
 * Credentials and pinned keys that are there stay, unless the address that they are for is set back with them.
 */
export function changeOf(kind: ActiveRecordKind, found: RecordRow, wanted: RecordRow): RecordRow {
  const known = Object.entries(wanted).filter(([name]) => name in found);
  const change: RecordRow = { ...found, ...Object.fromEntries(known), id: found.id };
  switch (kind) {
    case 'destinations':
      return { ...change, ...kept(found, ['is_default', 'secret_ciphertext']) };
    case 'servers': {
      const moved = found.host !== wanted.host || found.port !== wanted.port || found.pool !== wanted.pool;
      if (moved || found.sealed === null) return change;
      return { ...change, ...kept(found, ['sealed', 'auth_type', 'host_key_fingerprint']) };
    }
    case 'services': {
      const [now, then] = [settingsOf(found), settingsOf(wanted)];
      // One that is there may be newer than the backup; for another connection it is none.
      const same = isDeepStrictEqual(connectionOf(now.others), connectionOf(then.others));
      const password = same ? (now.password ?? then.password) : then.password;
      const settings = password === undefined ? then.others : { ...then.others, databasePassword: password };
      return { ...change, settings };
    }
    case 'schedules': {
      const same = isDeepStrictEqual({ ...change, enabled: found.enabled }, found);
      return same ? found : { ...change, enabled: false };
    }
  }
}

function kept(found: RecordRow, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, found[name]]));
}

/** Whom a password is for. */
function connectionOf({ database }: Record<string, unknown>): unknown[] {
  const { host, port, username } = (database ?? {}) as Record<string, unknown>;
  return [host, port, username].map((one) => one ?? null);
}

function settingsOf({ settings }: RecordRow): { others: Record<string, unknown>; password: unknown } {
  const { databasePassword: password, ...others } = settings as Record<string, unknown>;
  return { others, password };
}
