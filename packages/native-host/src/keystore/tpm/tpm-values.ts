import { createPublicKey } from 'node:crypto';
import { TpmBytesReader } from './tpm-bytes.ts';
import { TpmError } from './tpm-error.ts';
import { algorithm } from './tpm-templates.ts';

const p256 = 0x0003;
const coordinateBytes = 32;

const malformed = (what: string) =>
  new TpmError('key_damaged', `${what} is not one of a P-256 key`);

/** The key of a TPMT_PUBLIC as this keystore makes them: SubjectPublicKeyInfo, DER. */
export function spkiOfPublicArea(publicArea: Uint8Array): Uint8Array<ArrayBuffer> {
  const what = 'the public area';
  const reader = new TpmBytesReader(publicArea);
  if (reader.uint16() !== algorithm.ecc) throw malformed(what);
  // nameAlg, objectAttributes, authPolicy
  reader.take(2 + 4);
  reader.sized();
  const noSymmetric = reader.uint16() === algorithm.null;
  const isEcdsa = reader.uint16() === algorithm.ecdsa && reader.uint16() === algorithm.sha256;
  if (!noSymmetric || !isEcdsa || reader.uint16() !== p256) throw malformed(what);
  // kdf
  reader.take(2);
  const [x, y] = [reader.sized(), reader.sized()].map((value) => padded(value, what));
  if (x === undefined || y === undefined || reader.rest().length > 0) throw malformed(what);
  try {
    const jwk = { kty: 'EC', crv: 'P-256', x: x.toString('base64url'), y: y.toString('base64url') };
    const spki = createPublicKey({ key: jwk, format: 'jwk' }).export({
      format: 'der',
      type: 'spki',
    });
    return new Uint8Array(spki);
  } catch {
    throw malformed(what);
  }
}

/** r and s side by side, of a TPMT_SIGNATURE of ECDSA on P-256 with SHA-256. */
export function rawSignature(signature: Uint8Array): Buffer {
  const reader = new TpmBytesReader(signature);
  const isEcdsa = reader.uint16() === algorithm.ecdsa && reader.uint16() === algorithm.sha256;
  if (!isEcdsa) throw malformed('the signature');
  return Buffer.concat([
    padded(reader.sized(), 'the signature'),
    padded(reader.sized(), 'the signature'),
  ]);
}

/** Some TPMs leave leading zeros out. */
function padded(value: Buffer, what: string): Buffer {
  if (value.length > coordinateBytes) throw malformed(what);
  return Buffer.concat([Buffer.alloc(coordinateBytes - value.length), value]);
}
