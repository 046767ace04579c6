#!/usr/bin/env node
// Lists and extracts Tarfleet's backups from a plain folder: a local destination, or a bucket that was downloaded.
// It needs this file and Node 18 or later, nothing else. docs/archive-format.md describes what it reads.
import { createDecipheriv, createHash, createHmac, hkdfSync, scryptSync, timingSafeEqual } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { parseArgs, promisify } from 'node:util';
import { createGunzip, gunzip } from 'node:zlib';

const HELP = `node recover.mjs list <folder>                      every backup in a folder and below it
node recover.mjs files <backup> [keys]              what a backup holds; <backup> is the folder of its manifest.json
node recover.mjs extract <backup> <target> [keys]   puts it into <target>, a folder that does not exist yet
node recover.mjs extract <backup> --tar FILE [keys] writes it as one plain tar ("-": to standard output)
node recover.mjs decrypt <object> <out> [keys]      one encrypted object (*.enc) as it was before encryption

  --service NAME          only this service (or its id); it then lies in <target> itself, not in <target>/NAME
  --path /a/b             only this path and what is below it; may be repeated
  --keep-going            leave out what is damaged instead of stopping, and say so
  --backup-id, --artifact-id, --role archive|index    for decrypt, where folders and file were renamed

Keys, where the backup is encrypted:
  --keyring FILE          keyring.json
  --passphrase-file FILE  a passphrase; else BACKUP_ENCRYPTION_PASSPHRASE of the environment
  --recovery-key TEXT     TARFLEET-1:name:...; or --recovery-key-file FILE, which other users cannot see
  --data-key ARTIFACT=BASE64   an artifact's own key, as AWS KMS decrypts it; may be repeated

An incremental or differential backup also needs the folders of the backups that it names, where they lay beside it.
<target> is made for its owner alone (0700). Owners are set when run as root. Times are exact to some microseconds;
extended attributes, ACLs, devices and FIFOs are left out, and counted at the end. GNU tar sets all of them:
  node recover.mjs extract <backup> --service NAME --tar - | tar xpf - --xattrs --xattrs-include='*' --acls -C <folder>

Exit codes: 0 all of it is there; 1 failed; 2 wrong arguments; 3 a key is missing or wrong;
4 done, but something named on standard error is not there.
`;

const MIB = 1024 * 1024;
const NOTHING = Buffer.alloc(0);
const SLASH = 0x2f;
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const OBJECT = new RegExp(`^(${UUID})/[1-9][0-9]*-[A-Za-z0-9_-]+\\.(tar|index)\\.gz(\\.enc)?$`);
const ARCHIVE = new RegExp(`(?:^|/)(${UUID})/(${UUID})/[^/]+\\.tar\\.gz(?:\\.enc)?$`);
const inflateMember = promisify(gunzip);

class Failure extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
/** Of the backup's bytes: what --keep-going may leave out. */
class Damage extends Failure {}

const say = (text) => void process.stderr.write(`${text}\n`);
const print = (text) => void process.stdout.write(`${text}\n`);
const isMissing = (error) => error.code === 'ENOENT' || error.code === 'ENOTDIR';

/** A name for people: text as it is, other bytes and control characters in octal. */
function show(name) {
  const text = name.toString('utf8');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  if (Buffer.from(text).equals(name) && !/[\u0000-\u001f\u007f-\u009f\\]/.test(text)) return text;
  const octal = (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`;
  return name.toString('latin1').replace(/[^ -[\]-~]/g, octal);
}

// ---- Keys: docs/encryption.md ----

function readKeys(options) {
  const secretOf = (file) => readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  const keys = [];
  if (options.keyring !== undefined) {
    let keyring;
    try {
      keyring = JSON.parse(secretOf(options.keyring));
    } catch (error) {
      // The parser's own message quotes what it read, keys included.
      throw new Failure(`${options.keyring} cannot be read: ${error.code ?? 'it is not JSON'}`, 3);
    }
    if (keyring?.v !== 1 || !Array.isArray(keyring.keys))
      throw new Failure(`${options.keyring} is no keyring of version 1.`, 3);
    for (const { kind, path, key, recoveryKey, ...one } of keyring.keys) {
      if (kind === 'recovery') {
        keys.push({ kind: 'raw', ...parseRecoveryKey(recoveryKey) });
        continue;
      }
      const bytes = kind === 'file' ? rawKeyOf(readFileSync(path)) : key && Buffer.from(key, 'base64');
      keys.push({ ...one, kind: kind === 'file' ? 'raw' : kind, key: bytes });
    }
  }
  const file = options['passphrase-file'];
  const passphrase = file === undefined ? process.env.BACKUP_ENCRYPTION_PASSPHRASE : secretOf(file);
  if (passphrase) keys.push({ name: 'the passphrase', kind: 'passphrase', passphrase });
  const recovery =
    options['recovery-key'] ?? (options['recovery-key-file'] && secretOf(options['recovery-key-file']));
  if (recovery) keys.push({ kind: 'raw', ...parseRecoveryKey(recovery) });
  for (const one of options['data-key'] ?? []) {
    const [artifactId, text = ''] = one.split(/=(.*)/s);
    const key = Buffer.from(text, 'base64');
    if (key.length !== 32) throw new Failure('--data-key takes ARTIFACT=BASE64, of 32 bytes.', 2);
    keys.push({ name: `of ${artifactId}`, kind: 'data', artifactId, key });
  }
  return { keys, opened: new Map(), derived: new Map() };
}

/** A key in a file of its own: 32 bytes as they are, in base64 or in hex. */
function rawKeyOf(content) {
  if (content.length === 32) return content;
  const text = content.toString('latin1').trim();
  return Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64');
}

function parseRecoveryKey(text) {
  const plain = text.replace(/\s/g, '').replace(/\p{Pd}/gu, '-');
  const [, name = '', groups = ''] = /^TARFLEET-1:([^:]+):([^:]+)$/i.exec(plain) ?? [];
  const digits = groups.toUpperCase().replace(/-/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
  const values = [...digits].map((digit) => '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.indexOf(digit));
  const bits = values.map((value) => value.toString(2).padStart(5, '0')).join('');
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const key = bytes.subarray(0, 32);
  const check = createHash('sha256').update(`${name.toLowerCase()}\0`).update(key).digest().subarray(0, 3);
  if (digits.length !== 56 || values.includes(-1) || !check.equals(bytes.subarray(32)))
    throw new Failure('The recovery key is mistyped, or not complete.', 3);
  return { name: name.toLowerCase(), key };
}

/** The own key of an artifact, by one of the key objects beside its archive. */
async function openDataKey(archive, { backupId, artifactId }, ring) {
  const known = ring.opened.get(artifactId) ?? ring.keys.find((one) => one.artifactId === artifactId)?.key;
  if (known) return known;
  const prefix = `${basename(archive)}.key.`;
  const beside = await fs.readdir(dirname(archive)).catch(() => []);
  const names = beside.filter((name) => name.startsWith(prefix) && name.endsWith('.json'));
  if (names.length === 0)
    throw new Failure(
      `No key object (${prefix}*.json) lies beside ${archive}: without it nobody can read the archive.`,
    );
  const [wants, others] = [[], []];
  for (const name of names.sort()) {
    const wrapped = parseJson(await fs.readFile(join(dirname(archive), name), 'utf8'));
    if (wrapped?.format !== 'tarfleet-key' || wrapped.v !== 1) {
      // Another one may be sound.
      others.push(name);
      continue;
    }
    const aad = Buffer.from(JSON.stringify(['tarfleet-key', 1, wrapped.keyName, backupId, artifactId]));
    for (const { key, passphrase } of ring.keys.filter((one) => one.kind === wrapped.kind)) {
      const wrapping = wrapped.kind === 'passphrase' ? derive(passphrase, wrapped.kdf, ring.derived) : key;
      const dataKey = wrapping && unseal(wrapping, wrapped, aad);
      if (dataKey) return ring.opened.set(artifactId, dataKey).get(artifactId);
    }
    wants.push(`${wrapped.keyName} (${wrapped.kind})`);
    if (wrapped.kind === 'aws-kms')
      say(
        `AWS KMS opens it: aws kms decrypt --query Plaintext --output text --encryption-context tarfleet_key=${wrapped.keyName},backup_id=${backupId},artifact_id=${artifactId} --ciphertext-blob ${wrapped.ciphertext}\nThen give --data-key ${artifactId}=<what it prints>.`,
      );
  }
  if (wants.length === 0) throw new Failure(`${others[0]} is no key object of version 1.`);
  const given = ring.keys.map(({ name, kind }) => `${name} (${kind})`).join(', ') || 'none';
  throw new Failure(
    `${archive} is encrypted with the key ${wants.join(' or ')}, and no key given opens it. Given: ${given}.`,
    3,
  );
}

/** Null for what is none. */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function derive(passphrase, { name, N, r, p, salt }, derived) {
  // Bounded: the parameters come from a bucket.
  if (name !== 'scrypt' || !(N >= 2 ** 14 && N <= 2 ** 20 && r >= 8 && r <= 16 && p >= 1 && p <= 4))
    throw new Failure('A key object asks for another key derivation.');
  const id = JSON.stringify([passphrase, N, r, p, salt]);
  const options = { N, r, p, maxmem: 128 * N * r * (p + 1) + MIB };
  if (!derived.has(id))
    derived.set(id, scryptSync(passphrase.normalize('NFC'), Buffer.from(salt, 'base64'), 32, options));
  return derived.get(id);
}

function unseal(key, { nonce, ciphertext }, aad) {
  const bytes = Buffer.from(ciphertext, 'base64');
  if (bytes.length !== 48) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'), { authTagLength: 16 });
  decipher.setAAD(aad).setAuthTag(bytes.subarray(32));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, 32)), decipher.final()]);
  } catch {
    // Node says no more than that the tag is wrong.
    return null;
  }
}

// ---- Objects: plain, or encrypted in Tink's AES256_GCM_HKDF_1MB ----

/** An object to be read from anywhere, as it was before encryption. `secret` is `{ key, aad }`, or null. */
async function openObject(path, secret) {
  const file = await fs.open(path);
  const stored = (await file.stat()).size;
  const raw = async (from, length) => {
    const bytes = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await file.read(bytes, filled, length - filled, from + filled);
      if (bytesRead === 0) throw new Damage(`${path} is damaged: it ends too early.`);
      filled += bytesRead;
    }
    return bytes;
  };
  if (secret === null) return { path, size: stored, read: raw, close: () => file.close() };
  const segments = Math.max(1, Math.ceil(stored / MIB));
  const size = stored - 40 - 16 * segments;
  const header = size < 0 ? NOTHING : await raw(0, 40);
  if (header[0] !== 40) throw new Damage(`${path} is damaged: its header is none.`);
  const key = Buffer.from(hkdfSync('sha256', secret.key, header.subarray(1, 33), secret.aad, 32));
  let held = { number: -1, plain: NOTHING };
  const segment = async (number) => {
    if (held.number === number) return held.plain;
    const from = number === 0 ? 40 : number * MIB;
    const sealed = await raw(from, Math.min((number + 1) * MIB, stored) - from);
    const nonce = Buffer.alloc(12);
    header.copy(nonce, 0, 33);
    nonce.writeUInt32BE(number, 7);
    nonce[11] = number === segments - 1 ? 1 : 0;
    const body = sealed.length - 16;
    if (body < 0) throw new Damage(`${path} is damaged: it ends too early.`);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    const plain = decipher.setAuthTag(sealed.subarray(body)).update(sealed.subarray(0, body));
    try {
      decipher.final();
    } catch {
      throw new Damage(
        `${path} is damaged in its bytes ${from} to ${from + sealed.length}, or is another object than its name says.`,
      );
    }
    held = { number, plain };
    return plain;
  };
  const read = async (offset, length) => {
    if (offset + length > size) throw new Damage(`${path} is damaged: it ends too early.`);
    const parts = [];
    for (let at = offset; at < offset + length; at += parts.at(-1).length) {
      const number = Math.floor((at + 40) / (MIB - 16));
      const start = number === 0 ? 0 : number * (MIB - 16) - 40;
      parts.push((await segment(number)).subarray(at - start, offset + length - start));
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  };
  return { path, size, read, close: () => file.close() };
}

const aadOf = ({ backupId, artifactId }, role) =>
  Buffer.from(JSON.stringify(['tarfleet', 2, backupId, artifactId, role]));

/** All of an object, a MiB at a time; the last read is of the last segment, so an empty one is checked as well. */
async function* chunksOf(object) {
  for (let at = 0; at < object.size || at === 0; at += MIB)
    yield await object.read(at, Math.min(MIB, object.size - at));
}

async function* gunzipped(chunks, path) {
  const stream = createGunzip();
  // Whoever reads the stream gets the error of either.
  pipeline(Readable.from(chunks), stream, () => undefined);
  try {
    yield* stream;
  } catch (error) {
    throw String(error.code).startsWith('Z_') ? new Damage(`${path} is damaged: ${error.message}.`) : error;
  } finally {
    stream.destroy();
  }
}

async function checkStored(path, { bytes, sha256 }) {
  const { size } = await statOf(path);
  if (size !== bytes) throw new Damage(`${path} has ${size} bytes; ${bytes} were stored.`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk);
  if (hash.digest('hex') !== sha256)
    throw new Damage(`${path} is damaged: its SHA-256 is not the manifest's.`);
}

async function statOf(path, hint = 'Download it, too.') {
  try {
    return await fs.stat(path);
  } catch (error) {
    throw isMissing(error) ? new Damage(`${path} is missing. ${hint}`) : error;
  }
}

// ---- Manifest and index ----

const MANIFEST_FIELDS = [
  ...['format', 'version', 'backupId', 'projectId', 'name', 'type', 'createdAt', 'completedAt', 'verifiedAt'],
  ...['software', 'encryption', 'compression', 'artifacts', 'failed'],
];
const ENCRYPTION_FIELDS = ['format', 'mac'];

async function readManifest(folder) {
  const path = join(folder, 'manifest.json');
  await statOf(path, 'A backup is a folder with a manifest.json in it; `list` finds them.');
  let manifest;
  try {
    manifest = JSON.parse(await fs.readFile(path, 'utf8'));
  } catch (error) {
    throw new Damage(`${path} is damaged: ${error.message}`);
  }
  if (manifest?.format !== 'tarfleet-backup') throw new Failure(`${path} is no manifest of a backup.`);
  if (manifest.version !== 1 && manifest.version !== 2)
    throw new Failure(
      `${path} has version ${manifest.version}; this script reads 1 and 2. Use that of a later Tarfleet.`,
    );
  const { encryption } = manifest;
  for (const [value, fields] of [
    [manifest, MANIFEST_FIELDS],
    ...(encryption ? [[encryption, ENCRYPTION_FIELDS]] : []),
  ]) {
    const unknown = Object.keys(value).find((field) => !fields.includes(field));
    if (unknown !== undefined)
      throw new Damage(`${path} is damaged: nothing in it is called ${show(Buffer.from(unknown))}.`);
  }
  if (encryption !== null && (encryption?.format !== 'AES256_GCM_HKDF_1MB' || encryption.mac === undefined))
    throw new Damage(`${path} is damaged: it does not say how the backup is encrypted.`);
  for (const { artifactId, object, index = null } of manifest.artifacts) {
    for (const [role, one] of Object.entries({ tar: object, ...(index && { index }) })) {
      const [, id, kind, enc] = OBJECT.exec(one.name) ?? [];
      if (id !== artifactId || kind !== role || (enc !== undefined) !== (manifest.encryption !== null))
        throw new Damage(`${path} is damaged: it names ${one.name}.`);
    }
  }
  return { folder, backupId: manifest.backupId, manifest };
}

/** The manifest's MAC, under the key of one of its artifacts. */
async function checkMac({ folder, manifest }, ring) {
  const mac = manifest.encryption?.mac;
  if (manifest.encryption === null) return;
  const artifact = manifest.artifacts.find(({ artifactId }) => artifactId === mac?.artifactId);
  if (!artifact) return say('Note: nothing proves that the manifest is as it was written; it has no MAC.');
  const ids = { backupId: manifest.backupId, artifactId: artifact.artifactId };
  const key = await openDataKey(join(folder, artifact.object.name), ids, ring).catch((error) => {
    // Its services may be encrypted with several keys, and what is wanted with another one than this.
    if (error.exitCode !== 3 || manifest.artifacts.length === 1) throw error;
    say(`Note: the manifest's MAC was not checked. ${error.message}`);
  });
  if (!key) return;
  // Compact, in the manifest's own order.
  const input = JSON.stringify({ ...manifest, encryption: { ...manifest.encryption, mac: null } });
  const macKey = Buffer.from(hkdfSync('sha256', key, NOTHING, 'tarfleet-manifest-mac', 32));
  const right = createHmac('sha256', macKey).update(input).digest();
  const found = Buffer.from(mac.hmacSha256, 'hex');
  if (found.length !== 32 || !timingSafeEqual(found, right))
    throw new Damage(`${folder}/manifest.json was changed: its MAC is wrong.`);
}

/** By bytes, but `/` before every other one. */
function comparePaths(a, b) {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    if (a[at] !== b[at]) return (a[at] === SLASH ? 0 : a[at]) - (b[at] === SLASH ? 0 : b[at]);
  }
  return a.length - b.length;
}

const bytesOf = (text, base64) =>
  text === undefined ? base64 && Buffer.from(base64, 'base64') : Buffer.from(text);

/** The index of an artifact: `{ header, members, entries }`; its entries are to be read once, to their end. */
async function openIndex({ folder, backupId }, { artifactId, object: own, index }, ring) {
  const path = join(folder, index.name);
  const ids = { backupId, artifactId };
  const secret = path.endsWith('.enc')
    ? { key: await openDataKey(join(folder, own.name), ids, ring), aad: aadOf(ids, 'index') }
    : null;
  const bad = (what) => new Failure(`${path} is damaged: ${what}.`);
  await checkStored(path, index);
  const object = await openObject(path, secret);
  const lines = (async function* () {
    let rest = NOTHING;
    try {
      for await (const chunk of gunzipped(chunksOf(object), path)) {
        rest = Buffer.concat([rest, chunk]);
        let from = 0;
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
          yield JSON.parse(rest.toString('utf8', from, end));
          from = end + 1;
        }
        rest = rest.subarray(from);
      }
    } finally {
      await object.close();
    }
    if (rest.length > 0) throw bad('its last line is cut');
  })();
  const { value: header } = await lines.next();
  if (header?.format !== 'tarfleet-index') throw bad('it is no index');
  if (header.version !== 1 && header.version !== 2)
    throw new Failure(
      `${path} has version ${header.version}; this script reads 1 and 2. Use that of a later Tarfleet.`,
    );
  if (header.backupId !== backupId || header.artifactId !== artifactId)
    throw bad('it belongs to another backup');
  for (const [number, { name, ...other }] of header.archives.entries()) {
    const [, ofBackup, ofArtifact] = ARCHIVE.exec(join('/', backupId, name)) ?? [];
    const right =
      number === 0 ? name === own.name : ofBackup === other.backupId && ofArtifact === other.artifactId;
    if (!right) throw bad(`it names the archive ${name}`);
  }
  const members = header.archives.map(() => []);
  let { value: line } = await lines.next();
  for (; line?.members; { value: line } = await lines.next())
    for (const at of line.members) members[line.archive].push(at);
  if (header.archives.some((archive, number) => members[number].length !== archive.members))
    throw bad('members are missing');
  const entries = (async function* () {
    let before = NOTHING;
    let count = 0;
    for (; line?.type; { value: line } = await lines.next()) {
      const entry = {
        ...line,
        path: bytesOf(line.path, line.path_b64),
        link: bytesOf(line.link, line.link_b64) ?? null,
        as: bytesOf(line.as, line.as_b64) ?? null,
      };
      if (entry.as !== null && (entry.as[0] !== SLASH || entry.type !== 'file')) throw bad('a name is wrong');
      if (entry.path[0] !== SLASH || comparePaths(before, entry.path) >= 0)
        throw bad('its entries are not sorted');
      before = entry.path;
      count += 1;
      yield entry;
    }
    if (line?.entries !== count || !(await lines.next()).done) throw bad('it is not whole');
  })();
  return { header, members, entries, close: () => lines.return() };
}

/** The tar streams of an index's archives, read by the members that hold what is wanted. */
function createArchives({ folder }, { header, members }, ring) {
  const open = new Map();
  /** Those used last, since the next entry mostly begins in one of them. */
  const blocks = new Map();
  const archiveOf = async (number) => {
    const { name, backupId, artifactId, bytes } = header.archives[number];
    const path = join(folder, name);
    const home = relative(process.cwd(), resolve(dirname(path), '..')) || '.';
    await statOf(
      path,
      number === 0
        ? 'Download it, too.'
        : `It belongs to the backup ${backupId}, which this one builds on: put that backup's folder back at ${home}.`,
    );
    const key = name.endsWith('.enc') ? await openDataKey(path, { backupId, artifactId }, ring) : null;
    const object = await openObject(path, key && { key, aad: aadOf({ backupId, artifactId }, 'archive') });
    open.set(number, object);
    if (object.size !== bytes) throw new Damage(`${path} has another length than its index says.`);
    return object;
  };
  const blockOf = async (number, block) => {
    const id = `${number}:${block}`;
    const { blockBytes, bytes } = header.archives[number];
    const [start, end = bytes] = members[number].slice(block, block + 2);
    let content = blocks.get(id);
    if (!content) {
      const object = open.get(number) ?? (await archiveOf(number));
      if (start === undefined || end <= start) throw new Damage(`${object.path} has no member ${block}.`);
      try {
        content = await inflateMember(await object.read(start, end - start), { maxOutputLength: blockBytes });
      } catch (error) {
        throw error instanceof Failure
          ? error
          : new Damage(`${object.path} is damaged at its member ${block}: ${error.message}.`);
      }
      for (const key of blocks.keys()) if (blocks.size >= 12) blocks.delete(key);
    }
    blocks.delete(id);
    blocks.set(id, content);
    return content;
  };
  return {
    open: archiveOf,
    async *range([number, offset, bytes]) {
      const { blockBytes } = header.archives[number];
      for (let at = offset; at < offset + bytes; ) {
        const first = Math.floor(at / blockBytes) * blockBytes;
        const content = await blockOf(number, first / blockBytes);
        const part = content.subarray(at - first, offset + bytes - first);
        if (part.length === 0)
          throw new Damage(`The archive ${header.archives[number].name} ends too early.`);
        yield part;
        at += part.length;
      }
    },
    close: () => Promise.all([...open.values()].map((object) => object.close())),
  };
}

// ---- tar: ustar, GNU, pax ----

/** Reads chunks by the byte. */
function byteReader(chunks) {
  const source = chunks[Symbol.asyncIterator]();
  let held = NOTHING;
  const more = async () => {
    const { done, value } = await source.next();
    if (!done) held = held.length > 0 ? Buffer.concat([held, value]) : value;
    return !done;
  };
  const need = async () => {
    if (!(await more())) throw new Damage('The tar stream ends too early.');
  };
  return {
    async take(length) {
      while (held.length < length) await need();
      const taken = held.subarray(0, length);
      held = held.subarray(length);
      return taken;
    },
    async *pass(length) {
      for (let left = length; left > 0; ) {
        if (held.length === 0) await need();
        const part = held.subarray(0, left);
        held = held.subarray(part.length);
        left -= part.length;
        yield part;
      }
    },
    async *rest() {
      for (; held.length > 0 || (await more()); held = NOTHING) yield held;
    },
    close: () => source.return?.(),
  };
}

const TYPES = {
  '\0': 'file',
  0: 'file',
  7: 'file',
  1: 'hardlink',
  2: 'symlink',
  5: 'directory',
  6: 'fifo',
  3: 'character-device',
  4: 'block-device',
};
const untilNul = (bytes) => bytes.subarray(0, bytes.indexOf(0) < 0 ? bytes.length : bytes.indexOf(0));
const isZero = (bytes) => bytes.every((byte) => byte === 0);

function numberAt(block, from, length) {
  const field = block.subarray(from, from + length);
  if (field[0] & 0x80) return Number(BigInt.asIntN(length * 8 - 1, BigInt(`0x${field.toString('hex')}`)));
  const digits = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'));
  if (!digits) throw new Damage('A tar header is damaged: a number is none.');
  return Number.parseInt(digits[1] || '0', 8);
}

function paxRecords(body) {
  const records = new Map();
  for (let at = 0; at < body.length; ) {
    const [digits] = /^[1-9][0-9]{0,9}(?= )/.exec(body.toString('latin1', at, at + 11)) ?? ['0'];
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, at);
    if (end === at || end > body.length || body[end - 1] !== 10 || equals < 0 || equals >= end)
      throw new Damage('A pax header is damaged.');
    records.set(body.toString('latin1', at + digits.length + 1, equals), body.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** The next entry with all that stands before it in headers of its own; null at the stream's end. */
async function readEntry(reader) {
  let [pax, long] = [new Map(), {}];
  for (;;) {
    const block = await reader.take(512);
    if (isZero(block)) return null;
    const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
    if (numberAt(block, 148, 8) !== sum) throw new Damage('A tar header is damaged: its checksum is wrong.');
    const flag = String.fromCharCode(block[156]);
    const size = numberAt(block, 124, 12);
    if ('xgLK'.includes(flag)) {
      if (size > MIB) throw new Damage('A tar header is too long.');
      const body = Buffer.from((await reader.take(Math.ceil(size / 512) * 512)).subarray(0, size));
      const records = 'xg'.includes(flag) ? paxRecords(body) : null;
      if (flag === 'x') pax = records;
      else if (flag !== 'g') long[flag] = untilNul(body);
      else if ([...records.keys()].some((key) => /^(path|linkpath|size|GNU\.sparse\..*)$/.test(key)))
        throw new Damage('A tar header names all entries alike.');
      continue;
    }
    const number = (key, otherwise) => (pax.has(key) ? Number(pax.get(key)) : otherwise);
    const prefix =
      block.toString('latin1', 257, 263) === 'ustar\0' ? untilNul(block.subarray(345, 500)) : NOTHING;
    const plain = Buffer.concat([
      prefix,
      Buffer.from(prefix.length > 0 ? '/' : ''),
      untilNul(block.subarray(0, 100)),
    ]);
    const stated = pax.get('path') ?? long.L ?? plain;
    const path = pax.get('GNU.sparse.name') ?? stated;
    const type = TYPES[flag] === 'file' && path.at(-1) === SLASH ? 'directory' : (TYPES[flag] ?? 'other');
    const content = number('size', size);
    const sparse = [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'));
    if (!Number.isSafeInteger(content) || content < 0)
      throw new Damage('A tar header is damaged: its size is none.');
    if (content > 0 && type !== 'file' && type !== 'other')
      throw new Damage(`${show(path)} is a ${type} with content.`);
    if (type === 'other' || (sparse && pax.get('GNU.sparse.major')?.toString() !== '1'))
      throw new Failure(`${show(path)} is of a kind that this script does not know. Use --tar, and GNU tar.`);
    const link = pax.get('linkpath') ?? long.K ?? untilNul(block.subarray(157, 257));
    return {
      path: path.at(-1) === SLASH ? path.subarray(0, -1) : path,
      ...{ type, content, sparse, mode: numberAt(block, 100, 8) & 0o7777 },
      size: type === 'file' ? number('GNU.sparse.realsize', content) : 0,
      uid: number('uid', numberAt(block, 108, 8)),
      gid: number('gid', numberAt(block, 116, 8)),
      mtime: number('mtime', numberAt(block, 136, 12)),
      link: type === 'symlink' || type === 'hardlink' ? link : null,
      copy: type === 'hardlink' && pax.get('comment')?.toString() === 'tarfleet-copy',
      attributes: [...pax.keys()].some((key) => /xattr\.|SCHILY\.acl\.|selinux/.test(key)),
    };
  }
}

/** An entry's content, hashed as it is read. */
function contentOf(reader, { path, content }, sha256) {
  const hash = createHash('sha256');
  const parts = (async function* () {
    for await (const part of reader.pass(content)) {
      hash.update(part);
      yield part;
    }
    await reader.take((512 - (content % 512)) % 512);
  })();
  let checked = false;
  return {
    reader: byteReader(parts),
    async check() {
      if (checked) return;
      while (!(await parts.next()).done);
      checked = true;
      if (sha256 !== undefined && hash.digest('hex') !== sha256)
        throw new Damage(`${show(path)} is damaged: its content has another SHA-256 than the index says.`);
    },
  };
}

/** The data of a file and where each piece of it belongs; a sparse one (pax 1.0) begins with a map of them. */
async function* piecesOf({ sparse, size }, reader) {
  const map = [];
  let text = '';
  const next = async () => {
    while (!text.includes('\n')) {
      if (text.length > 32) throw new Damage('The map of a sparse file is damaged.');
      text += (await reader.take(512)).toString('latin1').replace(/\0+$/, '');
    }
    const [line] = text.split('\n', 1);
    text = text.slice(line.length + 1);
    if (!/^\d{1,15}$/.test(line)) throw new Damage('The map of a sparse file is damaged.');
    return Number(line);
  };
  if (!sparse) map.push([0, size]);
  else for (let left = await next(); left > 0; left -= 1) map.push([await next(), await next()]);
  for (const [offset, length] of map) {
    let at = offset;
    if (offset + length > size) throw new Damage('The map of a sparse file is damaged.');
    for await (const part of reader.pass(length)) {
      yield [at, part];
      at += part.length;
    }
  }
}

// ---- Where entries go ----

/** Entries as files below a new folder. Nothing that exists is written to or led through, but folders made here. */
function createTree(target, left) {
  const root = process.getuid?.() === 0;
  const base = Buffer.from(resolve(target));
  const folders = [];
  const skipped = new Set();
  let sound = '';
  /** The path on this machine; each folder on the way is a real one, made here where it is missing. */
  const locate = async (path) => {
    const parts = path.toString('latin1').split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
      throw new Failure(`${show(path)} is no path below the target.`);
    const parent = parts.slice(0, -1).join('/');
    for (let count = 1; count < parts.length && parent !== sound; count += 1) {
      const folder = Buffer.concat([base, Buffer.from(`/${parts.slice(0, count).join('/')}`, 'latin1')]);
      const found = await fs
        .lstat(folder)
        .catch((error) => (isMissing(error) ? fs.mkdir(folder) : Promise.reject(error)));
      if (found && !found.isDirectory())
        throw new Failure(`${show(path)} leads through ${show(folder)}, which is no folder.`);
    }
    sound = parent;
    return Buffer.concat([base, Buffer.from('/'), path]);
  };
  const finish = async ({ at, mode, uid, gid, mtime }) => {
    if (root) await fs.lchown(at, uid, gid);
    await fs.chmod(at, root ? mode : mode & 0o777);
    await fs.utimes(at, mtime, mtime);
  };
  const makeFile = async (at, entry, content) => {
    const file = await fs.open(at, 'wx', 0o600);
    try {
      for await (const [offset, part] of piecesOf(entry, content.reader)) {
        for (let done = 0; done < part.length; )
          done += (await file.write(part, done, part.length - done, offset + done)).bytesWritten;
      }
      await content.check();
      await file.truncate(entry.size);
      if (root) await file.chown(entry.uid, entry.gid);
      await file.chmod(root ? entry.mode : entry.mode & 0o777);
      await file.utimes(entry.mtime, entry.mtime);
    } catch (error) {
      await fs.unlink(at);
      throw error;
    } finally {
      await file.close();
    }
  };
  return {
    /** Folders that are left for good get their modes and times; without a path, all of them. */
    async leave(path) {
      const inside = ({ path: folder }) =>
        path && comparePaths(folder, path) < 0 && path[folder.length] === SLASH && path.indexOf(folder) === 0;
      while (folders.length > 0 && !inside(folders.at(-1))) await finish(folders.pop());
    },
    async put(entry, content) {
      const at = await locate(entry.path);
      const name = entry.path.toString('latin1');
      const { type, link } = entry;
      if (entry.attributes) left.attributes += 1;
      if (type === 'directory') {
        const made = await fs
          .mkdir(at, 0o700)
          .catch((error) => (error.code === 'EEXIST' ? 'there' : Promise.reject(error)));
        if (made === 'there' && !(await fs.lstat(at)).isDirectory())
          throw new Failure(`${show(entry.path)} is in the archive twice.`);
        folders.push({ ...entry, at });
      } else if (type === 'file') await makeFile(at, entry, content);
      else if (type === 'symlink') {
        await fs.symlink(link, at);
        if (root) await fs.lchown(at, entry.uid, entry.gid);
        await fs.lutimes(at, entry.mtime, entry.mtime);
      } else if (type === 'hardlink' && !skipped.has(link.toString('latin1'))) {
        const target = await locate(link);
        if (entry.copy) {
          await fs.copyFile(target, at, fs.constants.COPYFILE_EXCL);
          await finish({ ...entry, at });
          return;
        }
        await fs.link(target, at).catch((error) => {
          throw isMissing(error)
            ? new Damage(`${show(entry.path)} is a further name of ${show(link)}, which is not there.`)
            : error;
        });
      } else {
        skipped.add(name);
        left.special.push(show(entry.path));
      }
    },
  };
}

const isWithin = (path, folder) =>
  folder.length === 1 ||
  (path.length >= folder.length &&
    path.indexOf(folder) === 0 &&
    (path.length === folder.length || path[folder.length] === SLASH));

/** What --path takes out of an index, and the files that are wanted only because a wanted name is a link to them. */
async function select(index, paths) {
  const found = new Set();
  const aliases = new Map();
  const wants = (path) => paths.length === 0 || paths.some((one) => isWithin(path, one) && found.add(one));
  if (paths.length > 0) {
    for await (const { path, type, link } of index.entries) {
      if (!wants(path) || type !== 'hardlink') continue;
      const [key, target] = [link.toString('latin1'), Buffer.concat([Buffer.from('/'), link])];
      if (!paths.some((one) => isWithin(target, one)) && !aliases.has(key))
        aliases.set(key, path.subarray(1));
    }
  }
  return { found, aliases, wants };
}

function compareEntries(entry, wanted) {
  const same =
    entry?.path.equals((wanted.as ?? wanted.path).subarray(1)) &&
    ['type', 'mode', 'uid', 'gid'].every((field) => entry[field] === wanted[field]) &&
    (entry.type !== 'file' || entry.size === wanted.size) &&
    Math.abs(entry.mtime - Number(wanted.mtime)) <= 1e-5 &&
    (entry.link === null ? wanted.link === null : wanted.link?.equals(entry.link));
  if (!same)
    throw new Damage(`The archive has something else where the index says ${show(wanted.path)} lies.`);
}

/** What is wanted of an artifact, once all that it needs was found: keys, archives, and (for all of it) every byte. */
async function prepare(backup, artifact, { ring, paths, keepGoing }) {
  const { folder } = backup;
  if (!artifact.index) {
    await checkStored(join(folder, artifact.object.name), artifact.object);
    return { found: new Set(paths), old: true };
  }
  const index = await openIndex(backup, artifact, ring);
  const archives = createArchives(backup, index, ring);
  try {
    const selection = await select(index, paths);
    const ancestors = new Set(artifact.ancestors.map(({ artifactId }) => artifactId));
    for (const [number, { artifactId }] of index.header.archives.entries()) {
      if (number > 0 && !ancestors.has(artifactId)) continue;
      try {
        const { path } = await archives.open(number);
        if (paths.length > 0 || keepGoing) continue;
        const home = dirname(dirname(path));
        const owner = number === 0 ? backup : await readManifest(home).catch(() => null);
        const stored = owner?.manifest.artifacts.find((one) => one.artifactId === artifactId)?.object;
        if (stored) await checkStored(path, stored);
      } catch (error) {
        if (!keepGoing || !(error instanceof Damage)) throw error;
        say(error.message);
      }
    }
    return selection;
  } finally {
    await index.close();
    await archives.close();
  }
}

/** Every wanted entry of an artifact, to `sink.put`; before that its raw bytes to `sink.raw`, where there is one. */
async function eachEntry(backup, artifact, { wants, aliases, old }, { ring, keepGoing, paths, left }, sink) {
  if (old) return eachOfOld(backup, artifact, paths, sink);
  const index = await openIndex(backup, artifact, ring);
  const archives = createArchives(backup, index, ring);
  try {
    for await (const wanted of index.entries) {
      const isWanted = wants(wanted.path);
      const alias = sink.raw
        ? undefined
        : aliases.get((wanted.link ?? wanted.path.subarray(1)).toString('latin1'));
      if (!isWanted && !aliases.has(wanted.path.toString('latin1', 1))) continue;
      const write = wanted.as && sink.raw ? renamer(sink.raw, wanted.path.subarray(1)) : sink.raw;
      const reader = byteReader(tap(archives.range(wanted.at), write));
      try {
        const entry = await readEntry(reader);
        compareEntries(entry, wanted);
        if (wanted.as && entry.sparse)
          throw new Damage(`${show(wanted.path)} lies under a name that cannot be changed.`);
        // What lies there under another name is a file of its own.
        entry.path = wanted.path.subarray(1);
        const content = contentOf(reader, entry, wanted.sha256);
        if (isWanted) await sink.leave?.(entry.path);
        // A name whose content lies under one that is not wanted takes that one's place, and further names lead to it.
        if (!alias || entry.type === 'symlink') await sink.put(entry, content);
        else if (entry.type !== 'hardlink') await sink.put({ ...entry, path: alias }, content);
        else if (!alias.equals(entry.path)) await sink.put({ ...entry, link: alias }, content);
        await content.check();
      } catch (error) {
        if (!keepGoing || !(error instanceof Damage)) throw error;
        left.damaged += 1;
        say(`Left out: ${show(wanted.path)}: ${error.message}`);
      } finally {
        await reader.close();
      }
    }
    await sink.leave?.(null);
  } finally {
    await index.close();
    await archives.close();
  }
}

/** Writes a file's entry with another name: its own headers with a pax path before them. */
function renamer(write, path) {
  let head = NOTHING;
  return async (chunk) => {
    if (head === null) return write(chunk);
    head = Buffer.concat([head, chunk]);
    const records = [];
    let at = 0;
    while (at + 512 <= head.length && 'xgLK'.includes(String.fromCharCode(head[at + 156]))) {
      const length = numberAt(head, at + 124, 12);
      const body = head.subarray(at + 512, at + 512 + length);
      if (body.length === length && head[at + 156] === 0x78) records.push(...paxRecords(body));
      at += 512 + Math.ceil(length / 512) * 512;
    }
    if (at + 512 > head.length) return;
    const kept = records.filter(([key]) => key !== 'path' && key !== 'hdrcharset');
    const utf8 = Buffer.from(path.toString('utf8')).equals(path);
    const all = [...(utf8 ? [] : [['hdrcharset', Buffer.from('BINARY')]]), ['path', path], ...kept];
    const body = Buffer.concat(all.map(([key, value]) => paxRecord(key, value)));
    const own = Buffer.from(head.subarray(at, at + 512));
    const extension = Buffer.from(own);
    own.fill(0, 0, 100).fill(0, 345, 500);
    path.copy(own, 0, 0, 100);
    extension.fill(0, 0, 100).fill(0, 345, 500).fill(0, 157, 257);
    extension.write('PaxHeaders/entry', 0);
    extension.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
    extension[156] = 0x78;
    const rest = head.subarray(at + 512);
    head = null;
    const padding = Buffer.alloc((512 - (body.length % 512)) % 512);
    await write(Buffer.concat([withChecksum(extension), body, padding, withChecksum(own), rest]));
  };
}

/** `length key=value\n`, where the length counts itself. */
function paxRecord(key, value) {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let { length } = rest;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function withChecksum(block) {
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

async function* tap(chunks, write) {
  for await (const chunk of chunks) {
    await write?.(chunk);
    yield chunk;
  }
}

/** Archives of version 1 have no index: all of the stream, from its beginning. */
async function eachOfOld({ folder }, { object }, paths, sink) {
  const path = join(folder, object.name);
  const stored = createReadStream(path, { highWaterMark: MIB });
  const reader = byteReader(tap(gunzipped(stored, path), sink.raw));
  for (let entry = await readEntry(reader); entry !== null; entry = await readEntry(reader)) {
    const content = contentOf(reader, entry, undefined);
    const absolute = Buffer.concat([Buffer.from('/'), entry.path]);
    if (paths.length === 0 || paths.some((one) => isWithin(absolute, one))) await sink.put(entry, content);
    await content.check();
  }
  let zeros = 0;
  for await (const rest of reader.rest()) {
    zeros += rest.length;
    if (!isZero(rest) || zeros > 16 * MIB) throw new Damage(`${path} has something behind its end.`);
  }
  await sink.leave?.(null);
}

// ---- Commands ----

const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

async function list(folder) {
  const [backups, archives, keyNames] = [[], new Set(), new Map()];
  let faults = 0;
  const walk = async (at) => {
    for (const entry of await fs.readdir(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      const [, archive, keyName] = /^(.*)\.key\.([a-z0-9-]+)(?:\.[0-9a-f]+)?\.json$/.exec(path) ?? [];
      if (entry.isDirectory()) await walk(path);
      else if (archive) keyNames.set(archive, [...(keyNames.get(archive) ?? []), keyName]);
      else if (ARCHIVE.test(path)) archives.add(ARCHIVE.exec(path).slice(1).join('/'));
      else if (entry.name === 'manifest.json') {
        const backup = await readManifest(at).catch((error) => {
          faults += 1;
          say(error.message);
        });
        if (backup) backups.push(backup);
      }
    }
  };
  await walk(folder);
  backups.sort((one, other) => (one.manifest.createdAt < other.manifest.createdAt ? -1 : 1));
  for (const { folder: at, backupId, manifest } of backups) {
    const [missing, keys] = [new Set(), new Set()];
    for (const { object, index, ancestors = [] } of manifest.artifacts) {
      for (const one of [object, ...(index ? [index] : [])]) {
        const found = await fs.stat(join(at, one.name)).catch(() => null);
        if (found?.size !== one.bytes) missing.add(`${one.name}${found ? ' (cut)' : ''}`);
      }
      for (const one of ancestors)
        if (!archives.has(`${one.backupId}/${one.artifactId}`)) missing.add(`the backup ${one.backupId}`);
      for (const name of keyNames.get(join(at, object.name)) ?? []) keys.add(name);
      if (manifest.encryption && !keyNames.has(join(at, object.name)))
        missing.add(`${object.name}.key.*.json`);
    }
    print(
      `${at}\n  ${manifest.type}, ${manifest.createdAt}, backup ${backupId}${manifest.name === null ? '' : `, ${JSON.stringify(manifest.name)}`}`,
    );
    print(
      `  ${manifest.encryption ? `encrypted with ${[...keys].join(', ') || 'an unknown key'}` : 'not encrypted'}, ${missing.size > 0 ? `MISSING: ${[...missing].join(', ')}` : 'complete'}`,
    );
    for (const { service, server, object, index, contentBytes, files } of manifest.artifacts) {
      const all = index ?? { contentBytes, files };
      print(
        `  service ${service.name} of ${server.name}: ${all.files} files, ${size(all.contentBytes)}; its archive has ${size(object.bytes)}`,
      );
    }
    for (const { serviceName, message } of manifest.failed)
      print(`  service ${serviceName} is not in it: ${message}`);
  }
  if (backups.length === 0) throw new Failure(`No manifest.json lies in ${folder} or below it.`);
  return faults > 0 ? 4 : 0;
}

async function openBackup(folder, options) {
  const backup = await readManifest(folder.replace(/\/manifest\.json$/, ''));
  const ring = readKeys(options);
  await checkMac(backup, ring);
  const { service: wanted } = options;
  const artifacts = backup.manifest.artifacts.filter(
    ({ service, artifactId }) =>
      wanted === undefined || [service.name, service.id, artifactId].includes(wanted),
  );
  const names = backup.manifest.artifacts.map(({ service }) => `${service.name} (${service.id})`).join(', ');
  if (artifacts.length === 0)
    throw new Failure(`The backup has no service ${wanted}. It has: ${names || 'none'}.`);
  if (wanted !== undefined && artifacts.length > 1)
    throw new Failure(`Several services have this name. Give an id: ${names}.`);
  return { backup, artifacts, ring };
}

async function files(folder, options) {
  const { backup, artifacts, ring } = await openBackup(folder, options);
  const line = ({ type, mode, uid, gid, size: bytes, mtime, path, link }) => {
    const time = new Date(Number(mtime) * 1000).toISOString();
    print(
      `${type.padEnd(9)} ${mode.toString(8).padStart(4, '0')} ${uid}:${gid} ${String(bytes).padStart(10)} ${time} ${show(path)}${link ? ` -> ${show(link)}` : ''}`,
    );
  };
  for (const artifact of artifacts) {
    print(`# service ${artifact.service.name} of ${artifact.server.name}`);
    if (artifact.index)
      for await (const entry of (await openIndex(backup, artifact, ring)).entries) line(entry);
    else
      await eachOfOld(backup, artifact, [], {
        put: (entry) => line({ ...entry, path: Buffer.concat([Buffer.from('/'), entry.path]) }),
      });
  }
}

async function extract(folder, target, options) {
  const { backup, artifacts, ring } = await openBackup(folder, options);
  const { tar } = options;
  const paths = (options.path ?? []).map((path) => Buffer.from(path.replace(/(?<=.)\/+$/, '')));
  const left = { damaged: 0, attributes: 0, special: [] };
  const settings = { ring, paths, left, keepGoing: options['keep-going'] ?? false };
  if (tar !== undefined && artifacts.length > 1)
    throw new Failure('A tar is of one service: choose it with --service.', 2);
  if (tar !== undefined && settings.keepGoing)
    throw new Failure('--keep-going and --tar do not go together.', 2);
  if (tar === undefined && (await fs.lstat(target).catch(() => null)))
    throw new Failure(`${target} is there already. Give the name of a new folder.`, 2);
  const selections = [];
  for (const artifact of artifacts) selections.push(await prepare(backup, artifact, settings));
  for (const path of paths)
    if (!selections.some(({ found }) => [...found].some((one) => one.equals(path))))
      throw new Failure(`The backup does not hold ${show(path)}.`);
  if (tar !== undefined)
    await writeTar(tar, (raw) =>
      eachEntry(backup, artifacts[0], selections[0], settings, { raw, put: () => undefined }),
    );
  else {
    await fs.mkdir(target, { mode: 0o700 });
    const names = new Set();
    for (const [number, artifact] of artifacts.entries()) {
      const plain = artifact.service.name.replace(/[^\p{L}\p{N} ._-]|^\.+$/gu, '_') || '_';
      const name = names.has(plain) ? `${plain}-${artifact.artifactId}` : plain;
      names.add(name);
      const home = options.service === undefined ? join(target, name) : target;
      if (home !== target) await fs.mkdir(home, { mode: 0o700 });
      await eachEntry(backup, artifact, selections[number], settings, createTree(home, left));
      say(`${artifact.service.name} of ${artifact.server.name} is in ${home}.`);
    }
  }
  if (left.damaged > 0) say(`${left.damaged} entries are damaged and were left out.`);
  if (left.special.length > 0)
    say(
      `${left.special.length} devices and FIFOs were left out: ${left.special.slice(0, 10).join(', ')}. --tar has them.`,
    );
  if (left.attributes > 0)
    say(`${left.attributes} entries have extended attributes or ACLs, which were not set. --tar has them.`);
  for (const { serviceName, message } of backup.manifest.failed)
    say(`The backup does not hold the service ${serviceName}: ${message}`);
  return left.damaged + left.special.length + left.attributes > 0 ? 4 : 0;
}

async function writeTar(path, produce) {
  await writeOut(path, async (write) => {
    await produce(write);
    await write(Buffer.alloc(1024));
  });
}

/** A file that has its name only once it is whole; `-` is standard output. */
async function writeOut(path, produce) {
  if (path === '-') {
    const write = (bytes) =>
      new Promise((done, failed) => process.stdout.write(bytes, (error) => (error ? failed(error) : done())));
    return produce(write);
  }
  const part = `${path}.part`;
  const file = await fs.open(part, 'wx', 0o600);
  try {
    await produce((bytes) => file.writeFile(bytes));
    await file.sync();
  } catch (error) {
    await fs.unlink(part);
    throw error;
  } finally {
    await file.close();
  }
  await fs.rename(part, path);
}

async function decrypt(path, out, options) {
  const [, ofBackup, ofArtifact] = new RegExp(`(${UUID})/(${UUID})/[^/]+$`).exec(resolve(path)) ?? [];
  const ids = {
    backupId: options['backup-id'] ?? ofBackup,
    artifactId: options['artifact-id'] ?? ofArtifact,
  };
  const role = options.role ?? (path.endsWith('.index.gz.enc') ? 'index' : 'archive');
  if (!ids.backupId || !ids.artifactId)
    throw new Failure('The path does not tell backup and artifact: give --backup-id and --artifact-id.', 2);
  await statOf(path);
  const key = await openDataKey(path.replace(/\.index\.gz\.enc$/, '.tar.gz.enc'), ids, readKeys(options));
  const object = await openObject(path, { key, aad: aadOf(ids, role) });
  try {
    await writeOut(out, async (write) => {
      for await (const chunk of chunksOf(object)) await write(chunk);
    });
  } finally {
    await object.close();
  }
}

async function main() {
  const text = [
    'service',
    'tar',
    'keyring',
    'passphrase-file',
    'recovery-key',
    'recovery-key-file',
    'backup-id',
    'artifact-id',
    'role',
  ];
  const options = Object.fromEntries(text.map((name) => [name, { type: 'string' }]));
  for (const name of ['path', 'data-key']) options[name] = { type: 'string', multiple: true };
  for (const name of ['keep-going', 'help']) options[name] = { type: 'boolean' };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [command, from, to] = positionals;
  const count = command === 'decrypt' || (command === 'extract' && values.tar === undefined) ? 3 : 2;
  if (values.help || command === 'help') return print(HELP);
  if (!['list', 'files', 'extract', 'decrypt'].includes(command) || positionals.length !== count)
    throw new Failure(HELP, 2);
  return command === 'list'
    ? list(from)
    : command === 'files'
      ? files(from, values)
      : command === 'extract'
        ? extract(from, to, values)
        : decrypt(from, to, values);
}

// Whoever reads the output may have seen enough (`| head`).
process.stdout.on('error', () => process.exit(1));
try {
  process.exitCode = (await main()) ?? 0;
} catch (error) {
  const usage = String(error.code).startsWith('ERR_PARSE_ARGS');
  say(
    error instanceof Failure || usage || error.code
      ? error.message
      : `The backup has something that this script does not understand. ${error.stack}`,
  );
  process.exitCode = usage ? 2 : (error.exitCode ?? 1);
}
