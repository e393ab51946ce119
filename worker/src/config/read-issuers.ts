import { encodeBase64url } from '@countersign/protocol';
import {
  createLeafTemplate,
  importVerifyKey,
  type ParsedCertificate,
  verifyIssuedBy,
} from '@countersign/x509';
import type { IssuerSource } from '../ca/issuer.ts';
import { isSigningPair } from './key-pairs.ts';
import { readCertificate } from './read-certificate.ts';
import { readKey } from './read-token-keys.ts';
import { SettingError } from './setting-error.ts';

/** The bindings of up to two issuers: there are two while one is rolled over to another. */
const places = [
  { certificate: 'ISSUER_CERTIFICATE', key: 'ISSUER_KEY' },
  { certificate: 'ISSUER_2_CERTIFICATE', key: 'ISSUER_2_KEY' },
] as const;
type Place = (typeof places)[number];

export type UncheckedIssuers = { readonly [Name in Place[keyof Place]]?: unknown };

/** An issuing certificate must be the root's, able to issue, and of its key. When it expires is not judged. */
async function readIssuer(
  place: Place,
  environment: UncheckedIssuers,
  root: ParsedCertificate,
  leafCommonName: string,
): Promise<{ readonly source: IssuerSource; readonly certificate: ParsedCertificate }> {
  const issuerKey = await readKey(place.key, environment[place.key]);
  const issuer = readCertificate(place.certificate, environment[place.certificate]);
  const issued = await verifyIssuedBy(issuer, root, 'issuing-ca', issuer.notBeforeMs);
  if (!issued.ok) {
    throw new SettingError(place.certificate, `is not issued by the root: ${issued.detail}`);
  }
  const template = createLeafTemplate(issuer);
  if (!template.ok) throw new SettingError(place.certificate, `cannot issue: ${template.detail}`);
  const publicKey = await importVerifyKey(issuer.subjectPublicKey);
  const isP256 = issuer.subjectPublicKey.kind === 'ec-p256';
  if (!publicKey.ok || !isP256 || !(await isSigningPair(publicKey.value, issuerKey))) {
    throw new SettingError(place.key, `is not the key of ${place.certificate}`);
  }
  const digest = await crypto.subtle.digest('SHA-256', issuer.der);
  const source = {
    issuerId: encodeBase64url(new Uint8Array(digest)),
    issuerCertificate: issuer.der,
    issuerKey,
    leafCommonName,
  };
  return { source, certificate: issuer };
}

const isSet = (raw: unknown) => raw !== undefined && raw !== '';

/**
 * Reads one issuer, or two: the second is looked for when either of its bindings is set.
 *
 * @throws SettingError
 */
export async function readIssuers(
  environment: UncheckedIssuers,
  root: ParsedCertificate,
  leafCommonName: string,
): Promise<readonly IssuerSource[]> {
  const [firstPlace, secondPlace] = places;
  const first = await readIssuer(firstPlace, environment, root, leafCommonName);
  if (!isSet(environment[secondPlace.certificate]) && !isSet(environment[secondPlace.key])) {
    return [first.source];
  }
  const second = await readIssuer(secondPlace, environment, root, leafCommonName);
  // Certificates are told apart by the identifier of their issuer's key.
  const [one, other] = [first, second].map(({ certificate }) => certificate.subjectPublicKey.spki);
  if (one?.join() === other?.join()) {
    throw new SettingError(secondPlace.certificate, 'has the key of ISSUER_CERTIFICATE');
  }
  return [first.source, second.source];
}
