import type { NameHash } from './public-area.ts';
import { concatBytes, uint32Bytes } from './tpm-reader.ts';

const digestBytes = { 'SHA-256': 32, 'SHA-384': 48 } as const satisfies Record<NameHash, number>;

export const digestLength = (hash: NameHash): number => digestBytes[hash];

/** A label with the zero that ends it, which counts (TPM 2.0 Library, part 1 section 11.4.10). */
export const labelBytes = (label: string) =>
  concatBytes(new TextEncoder().encode(label), new Uint8Array(1));

export async function hmac(
  hash: NameHash,
  key: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = { name: 'HMAC', hash };
  const imported = await crypto.subtle.importKey('raw', key, algorithm, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, data));
}

/**
 * KDFa (part 1 section 11.4.10.2; NIST SP 800-108 in counter mode).
 *
 * @param context contextU and contextV, one behind the other
 * @param bits whole octets, no more than three digests
 */
export async function deriveByHmac(
  hash: NameHash,
  key: Uint8Array<ArrayBuffer>,
  label: string,
  context: Uint8Array,
  bits: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const blocks: Uint8Array[] = [];
  for (let counter = 1; (counter - 1) * digestBytes[hash] * 8 < bits; counter++) {
    const input = [uint32Bytes(counter), labelBytes(label), context, uint32Bytes(bits)];
    blocks.push(await hmac(hash, key, concatBytes(...input)));
  }
  return concatBytes(...blocks).slice(0, bits / 8);
}

/** KDFe (part 1 section 11.4.10.3; NIST SP 800-56A): one digest from an agreed point. */
export async function deriveFromPoint(
  hash: NameHash,
  sharedX: Uint8Array,
  label: string,
  ephemeralX: Uint8Array,
  staticX: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const input = concatBytes(uint32Bytes(1), sharedX, labelBytes(label), ephemeralX, staticX);
  return new Uint8Array(await crypto.subtle.digest(hash, input));
}

const blockBytes = 16;

/** AES in CFB mode with full blocks and a zero IV (part 1 section 11.4.9.6), of which WebCrypto knows only the parts. */
export async function encryptCfb(
  key: Uint8Array<ArrayBuffer>,
  plaintext: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const imported = await crypto.subtle.importKey('raw', key, 'AES-CTR', false, ['encrypt']);
  const ciphertext = new Uint8Array(plaintext.length);
  let feedback = new Uint8Array(blockBytes);
  for (let start = 0; start < plaintext.length; start += blockBytes) {
    // One block in counter mode is the block XOR the encrypted counter, and so one step of CFB.
    const parameters = { name: 'AES-CTR', counter: feedback, length: 128 };
    const block = plaintext.slice(start, start + blockBytes);
    feedback = new Uint8Array(await crypto.subtle.encrypt(parameters, imported, block));
    ciphertext.set(feedback, start);
  }
  return ciphertext;
}
