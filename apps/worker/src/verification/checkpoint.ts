import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createParser, VerifiedService, VerifyResult } from '@tarfleet/contracts';
import { errnoOf } from '@tarfleet/kernel';
import { Type } from 'typebox';
import type { Finding } from './finding.ts';

/** What is known of services that an earlier attempt at the job finished on this machine. */
export interface Checkpoint {
  done: ReadonlyMap<string, Finding>;
  save(finding: Finding): Promise<void>;
  remove(): Promise<void>;
}

const closed = { additionalProperties: false } as const;
const Stored = Type.Object(
  {
    v: Type.Literal(1),
    findings: Type.Array(
      Type.Object(
        {
          service: VerifiedService,
          objects: VerifyResult.properties.objects,
          damagedAncestors: VerifyResult.properties.damagedAncestors,
        },
        closed,
      ),
    ),
  },
  closed,
);
const parse = createParser(Stored);
/** A plan's services and their objects do not come near it. */
const MAX_BYTES = 64 << 20;

/**
 * A file in the worker's own folder, named by the job, so that its next attempt here begins behind what is finished.
 * One that belongs to another user, or that others may write, is not believed. A fault of the disk costs the
 * checkpoint and nothing else.
 */
export async function openCheckpoint({
  tmpDir,
  jobId,
  token,
}: {
  tmpDir: string;
  jobId: string;
  token: string;
}): Promise<Checkpoint> {
  const path = join(tmpDir, `tarfleet-verified-${jobId}.json`);
  const done = new Map<string, Finding>();
  for (const finding of await readStored(path)) done.set(finding.service.artifactId, finding);
  return {
    done,
    async save(finding) {
      done.set(finding.service.artifactId, finding);
      const fresh = `${path}.${token}`;
      try {
        const file = await open(fresh, 'wx', 0o600);
        await file.writeFile(JSON.stringify({ v: 1, findings: [...done.values()] }));
        await file.close();
        await rename(fresh, path);
      } catch {
        // Without it the next attempt, if there is one, begins anew.
        await rm(fresh, { force: true });
      }
    },
    remove: () => rm(path, { force: true }),
  };
}

async function readStored(path: string): Promise<Finding[]> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { uid, mode, size } = await file.stat();
      if (uid !== process.geteuid?.() || (mode & 0o022) !== 0 || size > MAX_BYTES) return [];
      const parsed = parse(JSON.parse(await file.readFile('utf8')));
      return parsed.ok ? parsed.value.findings : [];
    } finally {
      await file.close();
    }
  } catch (error) {
    // None yet, or one that was cut: all is looked at again.
    if (errnoOf(error) !== undefined || error instanceof SyntaxError) return [];
    throw error;
  }
}
