/**
 * Exclusion on a server that has no exclusive way to make a file. Making a folder is one: of several that make the same
 * one, all servers let one succeed. So whoever creates an object makes a folder beside it first, and removes it after.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@tarfleet/kernel';
import type { Client } from 'basic-ftp';
import { codeOf, isUnavailable } from './ftp-faults.ts';
import { sizeOf } from './ftp-files.ts';

/** It has the name of a part, so that no key is like it and the sweep takes what a dead writer left. */
const LOCK = '.0000000000000000.part';
const LOOK_MS = 100;
/** A writer that has not come to its end by then is taken for dead. */
const STALE_MS = 20_000;
/** Then it is given up. */
const PATIENCE_MS = 60_000;
/** Within that its last step must begin: well before anybody takes the lock from it. */
const HELD_MS = 10_000;

/** Runs the last step of a creation, for one writer at a time; OBJECT_EXISTS when the name is taken. */
export async function withLock(
  client: Client,
  target: string,
  signal: AbortSignal,
  step: () => Promise<void>,
): Promise<void> {
  const lock = target + LOCK;
  await take(client, target, lock, signal);
  const since = performance.now();
  try {
    await assertFree(client, target);
    if (performance.now() - since > HELD_MS) throw late();
    signal.throwIfAborted();
    await step();
  } finally {
    // One that stays is taken over, or swept.
    await client.send(`RMD ${lock}`).catch(() => undefined);
  }
}

async function take(client: Client, target: string, lock: string, signal: AbortSignal): Promise<void> {
  const begun = performance.now();
  for (let since = begun; !(await makeLock(client, lock)); ) {
    await assertFree(client, target);
    await sleep(LOOK_MS, undefined, { signal });
    const now = performance.now();
    if (now - begun > PATIENCE_MS) throw late();
    if (now - since < STALE_MS) continue;
    await removeStale(client, lock);
    since = now;
  }
}

/** True when this call made it: of several that try at once, one. */
async function makeLock(client: Client, lock: string): Promise<boolean> {
  try {
    await client.send(`MKD ${lock}`);
    return true;
  } catch (error) {
    // Mostly 550; 521 is RFC 959's own word for a folder that is there.
    if (isUnavailable(error) || codeOf(error) === 521) return false;
    throw error;
  }
}

/** By a rename, of which again one alone succeeds: so that nobody removes the lock of whoever came next. */
async function removeStale(client: Client, lock: string): Promise<void> {
  const own = lock.replace(LOCK, `.${randomBytes(8).toString('hex')}.part`);
  try {
    await client.rename(lock, own);
    await client.send(`RMD ${own}`);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
  }
}

async function assertFree(client: Client, target: string): Promise<void> {
  if ((await sizeOf(client, target)) === null) return;
  throw new AppError('OBJECT_EXISTS', 'An object of that key is already in the destination.');
}

function late(): AppError {
  return new AppError('STORAGE_FAILED', 'The FTP server was too slow to create an object safely.', {
    retryable: true,
  });
}
