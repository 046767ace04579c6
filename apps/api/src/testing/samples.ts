/** Of the right form; opens nothing. */
export const PRIVATE_KEY = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUx
-----END OPENSSH PRIVATE KEY-----
`;

/** A body for `POST /api/servers`, with a name of its own. */
export function sshServer() {
  return {
    kind: 'ssh',
    name: `server ${crypto.randomUUID()}`,
    host: 'db1.example.com',
    username: 'backup',
    auth: { type: 'private_key', private_key: PRIVATE_KEY },
  };
}
