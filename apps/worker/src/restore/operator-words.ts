import type { RestoreResult, ServiceRun } from '@tarfleet/contracts';
import { foldersOf, type OnServer } from './restore-run.ts';

/** What is where on the server, and the commands with which people start by hand what does not run. */
export function operatorWords(
  run: OnServer,
  { notRunning, rollbackPath }: Pick<RestoreResult, 'notRunning' | 'rollbackPath'>,
): string {
  const { plan } = run.context;
  const starts = plan.services
    .filter(({ name }) => notRunning.includes(name))
    .map((service) => `${service.name}: ${startCommand(service)}`);
  const folders = foldersOf(run).join(', ');
  return [
    rollbackPath === null ? '' : `On ${plan.server.name}, what was there before lies in ${folders}.`,
    starts.length === 0 ? '' : `To start by hand: ${starts.join('; ')}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

function startCommand({ runner }: ServiceRun): string {
  switch (runner.kind) {
    case 'none':
      return 'nothing to start';
    case 'docker':
      return words(['docker', 'start', runner.container]);
    case 'systemd':
      return words(['systemctl', 'start', runner.unit]);
    case 'docker-compose': {
      const files = runner.files.flatMap((file) => ['-f', file]);
      const project = runner.project === null ? [] : ['-p', runner.project];
      const start = words(['docker', 'compose', ...files, ...project, 'start', runner.service]);
      return `${words(['cd', runner.directory])} && ${start}`;
    }
    case 'command':
      return words(runner.start.argv);
  }
}

/** As a shell takes them. */
function words(argv: readonly string[]): string {
  return argv
    .map((one) => (/^[\w@%+=:,./-]+$/.test(one) ? one : `'${one.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
