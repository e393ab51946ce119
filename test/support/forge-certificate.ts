import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  assembleCertificate,
  createLeafTemplate,
  identifyPublicKey,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
  readDeviceUri,
  type X509Result,
} from '@countersign/x509';

/** Certificates that look like one of the broker's and are none. */

export type ForgedIssuer = {
  readonly certificate: ParsedCertificate;
  readonly privateKey: KeyObject;
};

export function parsed(der: Uint8Array | undefined): ParsedCertificate {
  return must(parseCertificate(der ?? new Uint8Array()));
}

/** The certificate's own to-be-signed bytes under another signature: equal in every field that anybody reads. */
export function signAgain(
  certificate: ParsedCertificate,
  issuerKey: KeyObject,
): Uint8Array<ArrayBuffer> {
  return assemble(certificate.toBeSigned, issuerKey, certificate);
}

/** A leaf with the names, serial number and device of `original`, for another key or another time. */
export async function issueLookAlike(
  original: ParsedCertificate,
  issuer: ForgedIssuer,
  changes: {
    readonly publicKey?: KeyObject;
    readonly notBeforeMs?: number;
    readonly notAfterMs?: number;
    readonly deviceId?: string;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const { publicKey } = changes;
  const spki =
    publicKey === undefined
      ? original.subjectPublicKey.spki
      : new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const template = must(createLeafTemplate(issuer.certificate));
  const { toBeSigned } = must(
    template({
      serialNumber: Buffer.from(original.serialNumber, 'hex'),
      commonName: 'Countersign device',
      notBeforeMs: changes.notBeforeMs ?? original.notBeforeMs,
      notAfterMs: changes.notAfterMs ?? original.notAfterMs,
      deviceId: changes.deviceId ?? must(readDeviceUri(original)),
      subjectPublicKey: await identifyPublicKey(must(parseSubjectPublicKeyInfo(spki))),
    }),
  );
  return assemble(toBeSigned, issuer.privateKey, issuer.certificate);
}

/** An authority with the name and the key identifiers of the given one, and another key. */
export function impersonateIssuer(certificate: ParsedCertificate): ForgedIssuer {
  return { certificate, privateKey: newKeyPair().privateKey };
}

export function newKeyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function assemble(
  toBeSigned: Uint8Array,
  issuerKey: KeyObject,
  { subjectPublicKey }: ParsedCertificate,
): Uint8Array<ArrayBuffer> {
  const signature = sign('sha256', toBeSigned, { key: issuerKey, dsaEncoding: 'ieee-p1363' });
  const ofP256 = { ...subjectPublicKey, kind: 'ec-p256' as const };
  return must(assembleCertificate(toBeSigned, signature, ofP256));
}

function must<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.value;
}
