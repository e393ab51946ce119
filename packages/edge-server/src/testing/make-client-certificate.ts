import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  assembleCertificate,
  createLeafTemplate,
  encodePem,
  identifyPublicKey,
  parseSubjectPublicKeyInfo,
  serialNumberFromRandom,
  type X509Result,
} from '@countersign/x509';
import { parseOwnCertificate } from '../data-directory/make-certificates.ts';
import { newP256Key } from '../data-directory/private-key.ts';

function must<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

/** A device certificate with its key, as the broker would issue it. */
export async function makeClientCertificate(
  issuerPem: string,
  issuerKey: KeyObject,
  validity: { notBeforeMs: number; notAfterMs: number },
): Promise<{ readonly cert: string; readonly key: string }> {
  const { privateKey, pem } = newP256Key();
  const identified = async (key: KeyObject) => {
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    return identifyPublicKey(must(parseSubjectPublicKeyInfo(new Uint8Array(spki))));
  };
  const build = must(createLeafTemplate(parseOwnCertificate(issuerPem)));
  const { toBeSigned } = must(
    build({
      serialNumber: serialNumberFromRandom(randomBytes(16)),
      commonName: 'Countersign device',
      deviceId: randomBytes(32).toString('base64url'),
      subjectPublicKey: await identified(privateKey),
      ...validity,
    }),
  );
  const signature = sign('sha256', toBeSigned, { key: issuerKey, dsaEncoding: 'ieee-p1363' });
  const der = must(assembleCertificate(toBeSigned, signature, await identified(issuerKey)));
  return { cert: encodePem('CERTIFICATE', der), key: pem };
}
