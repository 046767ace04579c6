import type { ReferenceParameters } from './reference.ts';

const KEY_16 = '6eb56cdc726dfbe5d57f2fcdc6e9345b';
const KEY_32 = '00112233445566778899aabbccddeeff6eb56cdc726dfbe5d57f2fcdc6e9345b';

export interface PublishedVector extends ReferenceParameters {
  what: string;
  key: string;
  associatedData: Buffer;
  plain: string;
  sealed: string;
}

/**
 * Tink's own test vectors, quoted from tink-java (Apache License 2.0): AesGcmHkdfStreamingTestUtil.java in
 * com.google.crypto.tink.streamingaead.internal.testing. None has the parameters of AES256_GCM_HKDF_1MB, but
 * together these have SHA-256, derived keys of 32 bytes, several segments and one that ends at its border.
 */
export const PUBLISHED: PublishedVector[] = [
  {
    what: 'three segments',
    hash: 'sha1',
    keyBytes: 16,
    segmentBytes: 64,
    key: KEY_16,
    associatedData: Buffer.from('aad'),
    plain: 'This is a fairly long plaintext. It is of the exact length to create three output blocks. ',
    sealed:
      '1893b3af5e14ab378d065addfc8484da642c0862877baea8' +
      'db92d9c77406a406168478821c4298eab3e6d531277f4c1a051714faebcaefcbca7b7be05e9445ea' +
      'a0bb2904153398a25084dd80ae0edcd1c3079fcea2cd3770630ee36f7539207b' +
      '8ec9d754956d486b71cdf989f0ed6fba6779b63558be0a66e668df14e1603cd2' +
      'af8944844078345286d0b292e772e7190775c51a0f83e40c0b75821027e7e538e111',
  },
  {
    what: 'SHA-256, empty',
    hash: 'sha256',
    keyBytes: 16,
    segmentBytes: 64,
    key: KEY_16,
    associatedData: Buffer.alloc(0),
    plain: '',
    sealed: '18be78bce0cab6fd38a9041eea8ab0ffc4cf17e3c00b661d3927f5f79069f41a210fedc40b25648c',
  },
  {
    what: 'a derived key of 32 bytes, one full segment',
    hash: 'sha1',
    keyBytes: 32,
    segmentBytes: 120,
    key: KEY_32,
    associatedData: Buffer.of(0, 1, 2, 3),
    plain: 'BLOCK 1.BLOCK 2.BLOCK 3.BLOCK 4.BLOCK 5.BLOCK 6.BLOCK 7.BLOCK 8.',
    sealed:
      '28782994617714a80fa085e15051a16854522330d6d0f26c049b2192f09cdd98b2eb90c753bfff27' +
      '7a29e54fa4afb15d648c28477eb07f012535c767f5fdce24ffffae318480c1d3' +
      '7357d6d3c511159318afa09ef38aa3f5456fd7817c5c02dd6e1a7fef174c8bd2' +
      '4e38b5982ac105497c0101ac5581fe5b',
  },
];

/**
 * Made with tink-java (its main branch of August 2026) and the parameters of AES256_GCM_HKDF_1MB: the ciphertexts
 * that it gave for `numbers(plainBytes)`, by their header, drawn by Tink, and the SHA-256 of the whole.
 */
export const MADE_WITH_TINK = {
  key: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  associatedData:
    '["tarfleet",2,"0190a0b0-0000-7000-8000-000000000001","0190a0b0-0000-7000-8000-000000000002","archive"]',
  ciphertexts: [
    {
      plainBytes: 0,
      header: '28bf83081b7cd5bbb3588294036ca46d768250182ca668a3f2a0fb464aa4909c9750dbdf0ea31bee',
      sha256: '960096c9266b5c1d005b930d681d0ebd176a5a697c80360e8a6e7b9935e49811',
    },
    {
      plainBytes: 100,
      header: '283e186234872fda1dce84c0bf1e895d4bac8463908687f27e7032a90ea4c52c0bf9130bfc1ca9d6',
      sha256: '22cd2d310a73c7f35d31bbf9821f4e392c183642b9b3898adcbec0e8ed1aca42',
    },
    {
      plainBytes: 2_097_080,
      header: '28fe09585abfbff9366bb9f0f595a59a5ea8995dfb47c39aebdfb8552e484dbea79146c74007332c',
      sha256: '07dfb93aab3e58d31995adc66cf49d9fbcb1281e40aee1080c8f98170ee3c397',
    },
    {
      plainBytes: 2_500_000,
      header: '281f615436234e1917fbf448acf076365c29306599d7191814c831c03a80416e7861d5e0ad2a668c',
      sha256: '52bdff88cdf0cafd0eadbd9f86ff961ce28f6a9abb065c611ba882b55be1c72f',
    },
  ],
};

/** So many bytes, a multiple of 4: big-endian words that hold their own offset. */
export function numbers(bytes: number): Buffer {
  const result = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) result.writeUInt32BE(at, at);
  return result;
}
