import { mkdir, writeFile } from 'node:fs/promises';
import { createWorld } from './world.ts';

const w = await createWorld((process.argv[2] as never) ?? 'postgres', {
  logLevel: 'info',
  onLine: (n, l) => {
    if (!l.includes('"msg":"request"')) console.log(n, l.slice(0, 600));
  },
});
try {
  const data = w.dir + '/data/tree 0';
  await mkdir(data, { recursive: true });
  await writeFile(data + '/x', 'hello'.repeat(1000));
  const s = await w.addServer('s1');
  await w.addService(s, 'svc', [data]);
  const t0 = Date.now();
  const id = await w.startBackup();
  for await (const e of w.client.events(id))
    console.log('EV', e.id, e.event, JSON.stringify(e.data).slice(0, 200));
  console.log('took', Date.now() - t0);
  console.log(JSON.stringify(await w.client.must('GET', '/api/backups/' + id), null, 1).slice(0, 3000));
  const v = await w.client.request('POST', `/api/backups/${id}/verify`, undefined, { prefer: 'wait=20' });
  console.log(v.status, v.body);
  const d = await w.client.request('DELETE', `/api/backups/${id}?force=true&reason=x`, undefined, {
    prefer: 'wait=20',
  });
  console.log(d.status, d.body);
} finally {
  await w.close();
}
