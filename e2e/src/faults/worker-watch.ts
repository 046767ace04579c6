import { createWriteStream } from 'node:fs';

export interface WorkerWatch {
  read(name: string, line: string): void;
  /** Names of the workers that have begun with a job, in that order. */
  startedBy(jobId: string): string[];
  close(): void;
}

/** Learns from the logs which worker has which job, and keeps them in a file. */
export function watchWorkers(file: string): WorkerWatch {
  const log = createWriteStream(file, { flags: 'a' });
  const started: { name: string; jobId: string }[] = [];
  return {
    read(name, line) {
      log.write(`${name} ${line}\n`);
      if (!line.includes('"job started"')) return;
      const { jobId } = JSON.parse(line) as { jobId: string };
      started.push({ name, jobId });
    },
    startedBy: (jobId) => started.filter((one) => one.jobId === jobId).map(({ name }) => name),
    close: () => void log.end(),
  };
}
