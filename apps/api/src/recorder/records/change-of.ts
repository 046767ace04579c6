import { isDeepStrictEqual } from 'node:util';
import type { ActiveRecordKind, Notification } from '@tarfleet/contracts';
import type { RecordRow } from '@tarfleet/db';

/**
 * What is there, with all of the backup's that may be set back: it equals what is there where nothing differs.
 * Credentials and pinned keys that are there stay, unless the account or address that they are for is set back with them.
 */
export function changeOf(kind: ActiveRecordKind, found: RecordRow, wanted: RecordRow): RecordRow {
  const known = Object.entries(wanted).filter(([name]) => name in found);
  const change: RecordRow = { ...found, ...Object.fromEntries(known), id: found.id };
  switch (kind) {
    case 'destinations':
      return { ...change, ...kept(found, ['is_default', 'secret_ciphertext']) };
    case 'servers': {
      const same = (...names: string[]): boolean => names.every((name) => found[name] === wanted[name]);
      const here = same('host', 'port', 'pool');
      // How somebody logs in and becomes root belongs to the credentials: those of one account open no other.
      const own = here && found.sealed !== null && same('username', 'auth_type', 'become_method');
      return {
        ...change,
        ...kept(found, here ? ['host_key_fingerprint'] : []),
        ...kept(found, own ? ['sealed'] : []),
      };
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
      const set = { ...change, notification: notificationOf(found, wanted) };
      const same = isDeepStrictEqual({ ...set, enabled: found.enabled }, found);
      return same ? found : { ...set, enabled: false };
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

/** With the webhook that is there, if any: backups hold none. Null where it would name nobody. */
export function notificationOf(found: RecordRow | null, wanted: RecordRow): object | null {
  const [now, then] = [found?.notification, wanted.notification] as (
    | Partial<Notification>
    | null
    | undefined
  )[];
  if (!then) return null;
  const webhook = now?.webhook ?? null;
  return webhook === null && then.email?.length === 0 ? null : { ...then, webhook };
}

function settingsOf({ settings }: RecordRow): { others: Record<string, unknown>; password: unknown } {
  const { databasePassword: password, ...others } = settings as Record<string, unknown>;
  return { others, password };
}
