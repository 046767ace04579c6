import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail {
  from: string;
  to: string[];
  /** The letter as it came, headers and all. */
  text: string;
}

export interface MailServer {
  /** `smtp://` */
  url: string;
  mails: ReceivedMail[];
  /** Each recipient is refused with this, while it is set. */
  refuse: { code: number; message: string } | null;
  /** Called instead of an answer to the letter, while it is set. */
  hang: (() => void) | null;
  close(): Promise<void>;
}

/** A real SMTP server, which wants a login where one is given. */
export async function startMailServer(login?: { user: string; password: string }): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const smtp = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    authOptional: !login,
    closeTimeout: 100,
    onAuth: ({ username, password }, _session, callback) => {
      if (username === login?.user && password === login?.password) callback(null, { user: username });
      else callback(new Error('Invalid username or password'));
    },
    onRcptTo: (_address, _session, callback) => {
      const { refuse } = handle;
      if (refuse) callback(Object.assign(new Error(refuse.message), { responseCode: refuse.code }));
      else callback();
    },
    onData: (stream, session, callback) => {
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('end', () => {
        if (handle.hang) {
          handle.hang();
          return;
        }
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          text,
        });
        callback();
      });
    },
  });
  // A client that goes away in the middle is its own affair.
  smtp.on('error', () => undefined);
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', () => resolve()));
  const handle: MailServer = {
    url: `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}`,
    ...{ mails, refuse: null, hang: null },
    close: () => new Promise((resolve) => smtp.close(() => resolve())),
  };
  return handle;
}
