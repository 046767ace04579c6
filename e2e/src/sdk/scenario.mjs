// What a program does with the client, the same wherever it runs: `import`, `require`, or a page in a browser.
/**
 * @param {typeof import('@tarfleet/sdk')} sdk
 * @param {{ url: string, token: string, projectId: number, loseUrl: string }} given
 */
export async function scenario({ createClient, TarfleetError }, { url, token, projectId, loseUrl }) {
  const { backups } = createClient({ baseUrl: url, token, projectId });
  const begun = await backups.create({
    name: 'Weekly Backup',
    description: 'by the client',
    type: 'automatic',
  });
  const percents = [];
  const made = await backups.wait(begun, { onProgress: ({ percent }) => percents.push(percent) });
  const all = await backups.list({ pageSize: 1 });
  let newest;
  for await (const one of backups.list({ pageSize: 1 })) {
    newest = one;
    break;
  }
  const verified = await backups.wait(await backups.verify(made.id, { deepVerification: true }));

  // Whoever runs this takes the files away.
  await fetch(loseUrl, { method: 'POST' });
  const restore = await backups.restore(made.id);
  const restored = await backups.wait(restore);

  const unknown = await backups.get(crypto.randomUUID()).catch((error) => error);
  const ended = new AbortController();
  const given = backups.wait(made, { signal: ended.signal }).catch((error) => error);
  ended.abort(new Error('enough'));
  const aborted = await given;
  const deletion = await backups.delete(made.id);
  await backups.wait(deletion);
  const gone = await backups.get(made.id).catch((error) => error);
  return {
    begun,
    made: { ...made, details: undefined, services: made.details.services.map(({ name }) => name) },
    ...{ percents, listed: all.length, inList: all.some(({ id }) => id === made.id), newest: newest?.id },
    ...{ verified: verified.result, restore: restore.message, restored: restored.state },
    unknown: told(unknown, TarfleetError),
    aborted: aborted.message,
    gone: told(gone, TarfleetError),
  };
}

function told(error, TarfleetError) {
  const { code, status, requestId, message } = error;
  return { typed: error instanceof TarfleetError, code, status, requestId: typeof requestId, message };
}
