/**
 * What `pnpm start` hands on to the API as it stands in its own environment; the API says what is wrong with it.
 * Not among them is what the stack decides itself: addresses, keys, databases, and what is local.
 */
export const FOR_API = [
  ...['PUBLIC_URL', 'CORS_ORIGINS', 'TRUSTED_PROXIES', 'SESSION_HOURS', 'BODY_LIMIT_BYTES'],
  ...['JWKS_URL', 'JWT_ISSUER', 'JWT_AUDIENCE'],
  ...['RATE_LIMIT_RESTORES_PER_HOUR', 'RATE_LIMIT_STATUS_PER_MINUTE', 'RATE_LIMIT_VERIFY_PER_HOUR'],
  ...['RATE_LIMIT_DOWNLOADS_PER_MINUTE', 'RATE_LIMIT_LOGINS_PER_MINUTE'],
  ...['SWEEP_GRACE_MS', 'RECONCILE_EVERY_MS', 'RECONCILE_PATIENCE_MS'],
  ...['SCHEDULE_EVERY_MS', 'RETENTION_EVERY_MS', 'SURVEY_EVERY_MS', 'RESTORE_KEEP_HOURS'],
  ...['BACKUP_ON_STARTUP', 'BACKUP_ENCRYPTION', 'BACKUP_RETENTION_DAYS', 'EMERGENCY_KEEP_DAYS'],
  ...['DOWNLOADS_AT_ONCE', 'DOWNLOAD_IDLE_MS', 'DOWNLOAD_LINK_SECONDS', 'DOWNLOAD_GRACE_MS'],
  ...['SMTP_URL', 'SMTP_FROM', 'WEBHOOK_ALLOWED'],
  ...['NOTIFY_RETRY_SECONDS', 'NOTIFY_EVERY_MS', 'NOTIFY_TIMEOUT_MS', 'NOTIFY_CLAIM_MS'],
] as const;

/** The same to its workers. */
export const FOR_WORKERS = [
  ...['LOCAL_SERVICES', 'BACKUP_ENCRYPTION_PASSPHRASE', 'TMP_DIR', 'CONCURRENCY', 'UV_THREADPOOL_SIZE'],
  ...['GRACE_MS', 'LOCK_MS', 'STALLED_CHECK_MS', 'HEARTBEAT_MS'],
] as const;

/** Those of the names that are set, as `NAME` or as `NAME_FILE`. */
export function passOn(
  env: Record<string, string | undefined>,
  names: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names.flatMap((one) => [one, `${one}_FILE`])) {
    const value = env[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}
