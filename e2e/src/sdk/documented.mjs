// The examples of document 3, as they stand; each is given what stands before it there.
const createBackup = async (cloudbox, console) => {
  // Create a backup
  const backup = await cloudbox.backups.create({
    name: 'Pre-deployment backup',
    description: 'Backup before major update',
    type: 'manual',
  });

  console.log('Backup created:', backup.id);
  console.log('Status:', backup.status); // "creating"
  return backup.id;
};

const listBackups = async (cloudbox, console) => {
  // List backups
  const backups = await cloudbox.backups.list();
  console.log(`Found ${backups.length} backups`);

  backups.forEach((backup) => {
    console.log(`${backup.name} - ${backup.status} (${backup.size} bytes)`);
  });
};

const showBackup = async (cloudbox, console, backupId) => {
  // Get backup status
  const backup = await cloudbox.backups.get(backupId);

  switch (backup.status) {
    case 'creating':
      console.log('Backup is being created...');
      break;
    case 'completed':
      console.log(`Backup completed: ${backup.size} bytes`);
      console.log(`Checksum: ${backup.checksum}`);
      break;
    case 'failed':
      console.error('Backup failed!');
      break;
  }
};

const restoreHere = async (cloudbox, backupId) => {
  // Restore backup to same project
  return await cloudbox.backups.restore(backupId);
};

const restoreElsewhere = async (cloudbox, backupId) => {
  // Restore backup to different project
  await cloudbox.backups.restore(backupId, {
    targetProjectId: 2,
  });
};

/** Runs them in their order; gives what they said. */
export async function runDocumented(cloudbox) {
  const lines = [];
  const console = { log: (...words) => lines.push(words.join(' ')), error: (text) => lines.push(text) };
  const backupId = await createBackup(cloudbox, console);
  await cloudbox.backups.wait(backupId);
  await listBackups(cloudbox, console);
  await showBackup(cloudbox, console, backupId);
  await cloudbox.backups.wait(await restoreHere(cloudbox, backupId));
  const refused = await restoreElsewhere(cloudbox, backupId).then(
    () => 'restored',
    ({ code, message }) => `${code} ${message}`,
  );
  return { backupId, lines, refused };
}
