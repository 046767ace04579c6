import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Names of fields that never reach a log, wherever a nested object carries them. */
const SECRET_FIELDS = [
  'password',
  'passphrase',
  'private_key',
  'privateKey',
  'secret',
  'secretAccessKey',
  'secret_access_key',
  'accountKey',
  'account_key',
  'sasToken',
  'sas_token',
  'token',
  'authorization',
  'cookie',
  'becomePassword',
];

export interface LoggerOptions {
  level: string;
  /** `api` or `worker`: on every line. */
  process: string;
  destination?: DestinationStream;
}

/** JSON lines on stdout: a constant message, facts in fields, secrets cut out. */
export function createLogger(options: LoggerOptions): Logger {
  const paths = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]);
  const settings = {
    level: options.level,
    base: { process: options.process, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths, censor: '[redacted]' },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}
