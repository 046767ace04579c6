import type { ServerSecrets } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import ssh2, { type AnyAuthMethod } from 'ssh2';

/**
 * The ways to log in with these secrets, in order. A password also answers a keyboard-interactive question, as
 * PAM asks it, once. Throws SERVER_AUTH_FAILED for a private key that cannot be used.
 */
export function authMethods(username: string, secrets: ServerSecrets, label: string): AnyAuthMethod[] {
  const { auth } = secrets;
  if (auth.type === 'none') return [{ type: 'none', username }];
  if (auth.type === 'private_key') {
    const key = parsePrivateKey(auth.private_key, auth.passphrase, label);
    return [{ type: 'publickey', username, key }];
  }
  const { password } = auth;
  let answered = false;
  return [
    { type: 'password', username, password },
    {
      type: 'keyboard-interactive',
      username,
      prompt(_name, _instructions, _language, prompts, finish) {
        const [only, ...more] = prompts;
        const isPassword = only !== undefined && more.length === 0 && only.echo !== true && !answered;
        answered ||= isPassword;
        finish(isPassword ? [password] : prompts.map(() => ''));
      },
    },
  ];
}

function parsePrivateKey(text: string, passphrase: string | undefined, label: string): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key && !(key instanceof Error) && key.isPrivateKey()) return key;
  // The library's own text is not passed on: it quotes what it could not read.
  const encrypted = key instanceof Error && /passphrase|decrypt|integrity|encrypted/i.test(key.message);
  const fault = !encrypted
    ? 'is not a private key in OpenSSH or PEM (PKCS#1) form'
    : passphrase === undefined
      ? 'is encrypted; store its passphrase too'
      : 'does not open with the stored passphrase';
  throw new AppError('SERVER_AUTH_FAILED', `The private key stored for ${label} ${fault}. Nothing was sent.`);
}
