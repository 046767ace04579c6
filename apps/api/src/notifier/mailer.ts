import { errnoOf } from '@tarfleet/kernel';
import { createTransport } from 'nodemailer';
import { startDeadline } from './deadline.ts';
import { mailOf } from './mail-text.ts';
import type { Outcome } from './outcome.ts';

/** One letter, to one address, about one event. */
export interface Letter {
  /** The delivery's: a letter that is sent twice bears the same Message-ID. */
  id: string;
  to: string;
  payload: string;
}

export interface Mailer {
  /** Never rejects; says nothing of addresses or passwords. */
  send(letter: Letter, signal: AbortSignal): Promise<Outcome>;
}

/** Of one answer of the mail server; a whole letter gets three times as long. In milliseconds. */
const ANSWER_MS = 10_000;

/** Sends through the server of an `smtp://` or `smtps://` URL, over a connection for each letter. */
export function createMailer({ url, from }: { url: string; from: string }): Mailer {
  const times = { connectionTimeout: ANSWER_MS, greetingTimeout: ANSWER_MS, socketTimeout: ANSWER_MS };
  const transport = createTransport({
    ...{ url, ...times, dnsTimeout: ANSWER_MS },
    // A letter is text of ours: it names no files or addresses to be fetched.
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  const domain = /@([^\s@>]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
  return {
    async send({ id, to, payload }, signal) {
      const sending = transport
        .sendMail({
          from,
          // As an object, for in a text a comma would make two addresses of one.
          to: { name: '', address: to },
          messageId: `<${id}@${domain}>`,
          headers: { 'Auto-Submitted': 'auto-generated' },
          ...mailOf(payload),
        })
        .then((): Outcome => ({ kind: 'delivered', status: null }), toOutcome);
      const deadline = startDeadline(3 * ANSWER_MS, signal);
      const late = new Promise<Outcome>((resolve) => {
        const end = (): void =>
          resolve(
            deadline.over()
              ? { kind: 'retry', status: null, error: 'The mail server took too long.' }
              : { kind: 'stopped' },
          );
        deadline.signal.addEventListener('abort', end, { once: true });
        if (deadline.signal.aborted) end();
      });
      try {
        return await Promise.race([sending, late]);
      } finally {
        deadline.done();
      }
    },
  };
}

function toOutcome(error: unknown): Outcome {
  const { responseCode } = error as { responseCode?: unknown };
  const status = typeof responseCode === 'number' ? responseCode : null;
  const code = errnoOf(error);
  const answered = status === null ? '' : ` with ${status}`;
  if (code === 'EAUTH') {
    return { kind: 'retry', status, error: `The mail server refused the login${answered}: see SMTP_URL.` };
  }
  if (code === 'EENVELOPE' || code === 'EMESSAGE') {
    const error = `The mail server refused the letter${answered}.`;
    // 5xx: for good (RFC 5321, 4.2.1).
    return { kind: status !== null && status >= 500 ? 'refused' : 'retry', status, error };
  }
  const what = code === undefined ? '' : ` (${code})`;
  return { kind: 'retry', status, error: `The mail server could not be used${answered}${what}.` };
}
