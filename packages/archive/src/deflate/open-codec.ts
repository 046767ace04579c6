import type { Codec } from './codec.ts';
import { openLibdeflate } from './libdeflate-codec.ts';
import { zlibCodec } from './zlib-codec.ts';

/** The fastest that this machine has. */
export async function openCodec(): Promise<Codec> {
  return (await openLibdeflate()) ?? zlibCodec;
}
