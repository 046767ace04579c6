import type { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { Become, LaunchScript } from './launch-script.ts';
import type { OpenedChannel } from './open-channel.ts';

/** A command that is about to run, its channel paused where its own output begins. */
export interface Launched extends OpenedChannel {
  /** Of the command and all it starts. */
  processGroup: number;
  stdoutHead: Buffer;
  stderrHead: Buffer;
}

/** What a login shell or sudo may say before the command starts. */
const MAX_NOISE_BYTES = 256 * 1024;
/** After which it is asked whether the server runs commands at all. */
const DOUBT_MS = 1500;

/**
 * Waits until the command has announced itself, answering sudo's prompt once when it asks. Errors, after which
 * the channel is closed: TOOL_MISSING (no sudo), BECOME_FAILED, COMMAND_FAILED (it never started). `lost` gives
 * the error to use when the whole connection is gone.
 */
export function awaitLaunch(
  opened: OpenedChannel,
  script: LaunchScript,
  become: Become,
  options: {
    host: string;
    timeoutMs: number;
    lost: () => AppError | null;
    /** Asked when it takes long, and with what was said instead when it does not start: why it never will. */
    hopeless: (said: string | null) => Promise<AppError | null>;
  },
): Promise<Launched> {
  const { channel } = opened;
  return new Promise((resolve, reject) => {
    let processGroup: number | null = null;
    let stdoutHead: Buffer | null = null;
    let stderrHead: Buffer = Buffer.alloc(0);
    let asked = false;

    let stopped = false;
    const stop = (): void => {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(doubt);
      for (const stream of [channel, channel.stderr] as Readable[]) {
        stream.removeAllListeners('data');
        stream.pause();
      }
      channel.off('close', onClose);
    };
    const fail = (error: AppError): void => {
      stop();
      // Nobody reads this channel any more: let what is under way flow off, so that it can close.
      channel.resume();
      channel.stderr.resume();
      channel.on('error', () => undefined);
      channel.close();
      reject(error);
    };
    const check = (): void => {
      if (processGroup === null || stdoutHead === null) return;
      stop();
      resolve({ ...opened, processGroup, stdoutHead, stderrHead });
    };
    const onClose = (): void => {
      const noise = said(out.text() + err.text());
      const lost = options.lost();
      if (lost) fail(lost);
      else if (become) fail(becomeFailed(options.host, become, asked, noise));
      else {
        const plain = notStarted(options.host, noise);
        options.hopeless(noise).then(
          (error) => fail(error ?? plain),
          () => fail(plain),
        );
      }
    };
    const timer = setTimeout(() => {
      const seconds = Math.round(options.timeoutMs / 1000);
      const noise = `it gave no answer within ${seconds} s. ${said(out.text() + err.text())}`.trim();
      fail(become ? becomeFailed(options.host, become, asked, noise) : notStarted(options.host, noise));
    }, options.timeoutMs);

    const doubt = setTimeout(() => {
      const answer = (error: AppError | null): void => {
        if (error && !stopped) fail(error);
      };
      // Not to know is as good as no; sudo takes its time over a wrong password.
      if (become === null) options.hopeless(null).then(answer, () => undefined);
    }, DOUBT_MS);

    const out = createScanner();
    channel.on('data', (chunk: Buffer) => {
      if (stdoutHead !== null) stdoutHead = Buffer.concat([stdoutHead, chunk]);
      else {
        const after = out.find(chunk, script.outputMark);
        if (after) stdoutHead = after;
        else if (out.size() > MAX_NOISE_BYTES) return fail(tooNoisy(options.host));
      }
      check();
    });

    const err = createScanner();
    channel.stderr.on('data', (chunk: Buffer) => {
      if (processGroup !== null) {
        stderrHead = Buffer.concat([stderrHead, chunk]);
        return;
      }
      const rest = err.find(chunk, script.marker);
      const line = rest?.indexOf('\n') ?? -1;
      if (rest && line >= 0) {
        const group = Number(rest.subarray(0, line).toString('latin1').trim());
        // Signals go to this number negated, and -0 and -1 mean far more than one group.
        if (!Number.isInteger(group) || group < 2) return fail(notStarted(options.host, ''));
        processGroup = group;
        stderrHead = rest.subarray(line + 1);
        return check();
      }
      if (err.holds(script.noSudo)) {
        return fail(
          new AppError(
            'TOOL_MISSING',
            `There is no sudo on ${options.host}: install it, or connect as root.`,
          ),
        );
      }
      if (err.take(script.prompt) && become) {
        if (asked || become.password === null) return fail(becomeFailed(options.host, become, asked, ''));
        asked = true;
        channel.write(`${become.password}\n`);
      }
      if (err.size() > MAX_NOISE_BYTES) fail(tooNoisy(options.host));
    });
    if (opened.ended.closed) onClose();
    else channel.once('close', onClose);
  });
}

/** Collects output and looks for marks in it, wherever chunks are cut. */
function createScanner() {
  let seen: Buffer = Buffer.alloc(0);
  return {
    /** Adds a chunk; what follows the mark, once it has come. */
    find(chunk: Buffer, mark: Buffer): Buffer | null {
      seen = Buffer.concat([seen, chunk]);
      const at = seen.indexOf(mark);
      return at < 0 ? null : seen.subarray(at + mark.length);
    },
    holds: (mark: Buffer): boolean => seen.includes(mark),
    /** True when the mark is there; it and what is before it are dropped. */
    take(mark: Buffer): boolean {
      const at = seen.indexOf(mark);
      if (at >= 0) seen = seen.subarray(at + mark.length);
      return at >= 0;
    },
    size: (): number => seen.length,
    text: (): string => seen.toString('utf8'),
  };
}

/** The last words of a program that failed, short and on one line. */
function said(text: string): string {
  const words = text
    .replaceAll(/[^\P{C}\n]/gu, '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .slice(-3)
    .join('; ');
  return words === '' ? '' : `The server said: ${words.slice(-300)}`;
}

function becomeFailed(
  host: string,
  become: { password: string | null },
  asked: boolean,
  noise: string,
): AppError {
  const why =
    become.password === null
      ? 'it asks for a password and none is stored with this server'
      : asked
        ? 'the stored sudo password was refused, or the user may not run commands as root'
        : 'it did not start the command';
  return new AppError('BECOME_FAILED', `sudo failed on ${host}: ${why}. ${noise}`.trim());
}

function notStarted(host: string, noise: string): AppError {
  return new AppError(
    'COMMAND_FAILED',
    `${host} did not start the command. ${noise || 'Is the login shell usable?'}`,
  );
}

function tooNoisy(host: string): AppError {
  return new AppError(
    'COMMAND_FAILED',
    `The login shell on ${host} prints without end before a command starts.`,
  );
}
