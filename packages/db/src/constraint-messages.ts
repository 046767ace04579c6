/** What a broken constraint means to whoever sent the request, by the constraint's name in the migrations. */

const TAKEN: Record<string, string> = {
  projects_name_key: 'A project with this name exists already; choose another name.',
  users_email_key: 'A user with this e-mail address exists already.',
  project_members_pkey: 'This user is a member of the project already.',
  servers_project_id_name_key: 'The project has a server with this name already; choose another name.',
  services_server_id_name_key: 'The server has a service with this name already; choose another name.',
  destinations_name_key: 'A destination with this name exists already; choose another name.',
  destinations_default_key: 'Another destination became the default one at the same moment; try again.',
  schedules_project_id_name_key: 'A schedule of this name was made at the same moment; try again.',
  service_leases_pkey: 'Another job works on one of these services; wait until it has ended.',
};

const IN_USE: Record<string, string> = {
  servers_project_id_fkey: 'The project still has servers; delete them first.',
  servers_jump_id_fkey: 'Other servers are reached through this one; give them another jump host first.',
  backups_project_id_fkey: 'The project still has backups; delete them first.',
  jobs_project_id_fkey: 'The project still has jobs; wait until they have ended.',
  backup_copies_destination_id_fkey: 'Copies of backups are kept at this destination; delete those first.',
  jobs_backup_id_fkey: 'Jobs of another project still refer to a backup of this one.',
};

const MISSING: Record<string, string> = {
  project_members_project_id_fkey: 'The project does not exist any more.',
  project_members_user_id_fkey: 'The user does not exist; check the user id.',
  servers_project_id_fkey: 'The project does not exist; check the project id.',
  servers_jump_id_fkey: 'The jump host does not exist; check its server id.',
  services_server_id_fkey: 'The server does not exist any more.',
  backups_project_id_fkey: 'The project does not exist any more.',
  webhooks_project_id_fkey: 'The project does not exist any more.',
  schedules_project_id_fkey: 'The project does not exist any more.',
  backup_copies_destination_id_fkey: 'The destination does not exist any more.',
  backups_destination_id_fkey: 'The destination does not exist any more.',
};

/** Of a broken unique index. */
export function takenMessage(constraint: string | null): string {
  return (constraint && TAKEN[constraint]) || 'The same thing exists already.';
}

/** Of a row that others still refer to. */
export function inUseMessage(constraint: string | null): string {
  return (constraint && IN_USE[constraint]) || 'Something else still refers to this.';
}

/** Of a reference to a row that is not there. */
export function missingMessage(constraint: string | null): string {
  return (constraint && MISSING[constraint]) || 'Something that this refers to does not exist any more.';
}
