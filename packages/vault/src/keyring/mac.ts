import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** HMAC-SHA256 in hex, under a key of its own that is derived from an archive's key (HKDF-SHA256, RFC 5869). */
export function macOf(dataKey: Buffer, bytes: Buffer): string {
  return createHmac('sha256', macKey(dataKey)).update(bytes).digest('hex');
}

/** Whether that is the bytes' MAC; compared in constant time. */
export function macMatches(dataKey: Buffer, bytes: Buffer, hex: string): boolean {
  // Node's decoder stops in silence at what is no hex.
  if (!/^[0-9a-f]{64}$/.test(hex)) return false;
  const found = Buffer.from(hex, 'hex');
  const right = createHmac('sha256', macKey(dataKey)).update(bytes).digest();
  return timingSafeEqual(found, right);
}

function macKey(dataKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', dataKey, Buffer.alloc(0), 'tarfleet-manifest-mac', 32));
}
