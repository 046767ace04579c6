import { v7 } from 'uuid';
import type { NewDestination } from '../destinations.ts';
import type { PrismaClient } from '../generated/client.ts';
import type { NewServer } from '../servers.ts';
import type { NewService } from '../services.ts';

/** Records as a caller would hand them in, each with a name of its own. */
export function serverDraft(changes: Partial<NewServer> & { projectId: number }): NewServer {
  return {
    name: `server ${v7()}`,
    kind: 'ssh',
    host: 'example.com',
    port: 22,
    username: 'root',
    authType: 'private_key',
    hostKeyFingerprint: null,
    pool: 'main',
    becomeMethod: null,
    jumpId: null,
    sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' },
    environment: null,
    ...changes,
  };
}

export function serviceDraft(changes: Partial<NewService> & { serverId: string }): NewService {
  return {
    name: `service ${v7()}`,
    type: 'files',
    component: 'files',
    configPaths: ['/etc/a b'],
    dataPaths: ['/srv/"quoted", {braced}\\'],
    exclude: [],
    backupPriority: 0,
    dependsOn: [],
    settings: {},
    ...changes,
  };
}

export function destinationDraft(changes: Partial<NewDestination> = {}): NewDestination {
  return {
    name: `destination ${v7()}`,
    type: 'local',
    config: { path: '/srv/backups' },
    secretCiphertext: null,
    retentionDays: null,
    isDefault: false,
    ...changes,
  };
}

/** A backup's bare row. */
export async function insertBackup(
  prisma: PrismaClient,
  backup: { projectId: number; destinationId: string; status: string },
): Promise<string> {
  const id = v7();
  await prisma.backup.create({ data: { ...backup, id, type: 'full', dialect: 'botserver', keyPrefix: id } });
  return id;
}

/** A job's bare row. */
export async function insertJob(
  prisma: PrismaClient,
  job: { projectId: number; ended: boolean; backupId?: string },
): Promise<string> {
  const id = v7();
  const { ended, ...rest } = job;
  const end = ended ? { state: 'completed', endedAt: new Date() } : {};
  await prisma.job.create({
    data: { ...rest, ...end, id, kind: 'backup', pool: 'main', requestId: 'r', plan: '' },
  });
  return id;
}
