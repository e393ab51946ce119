import type { Bytes } from './bytes.ts';
import type { DerReader } from './der/reader.ts';
import { contextConstructed, contextPrimitive, tag } from './der/tag.ts';
import { assertWellFormedElement, decodeString } from './der/well-formed.ts';
import { oid } from './object-identifiers.ts';
import { readExtensionList } from './read-extension-list.ts';
import { X509Error } from './result.ts';

/** Position of each bit of KeyUsage (RFC 5280 §4.2.1.3). */
export const keyUsageBit = {
  digitalSignature: 0,
  contentCommitment: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  crlSign: 6,
  encipherOnly: 7,
  decipherOnly: 8,
} as const;

export type KeyUsage = keyof typeof keyUsageBit;

export interface BasicConstraints {
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly isCritical: boolean;
}

export interface SubjectAltName {
  readonly uris: readonly string[];
  /** How many names of any other kind than URI there are. */
  readonly otherNames: number;
  readonly isCritical: boolean;
}

/** The extensions that are understood here; each is undefined when the certificate has none. */
export interface CertificateExtensions {
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: readonly KeyUsage[] | undefined;
  /** Dotted object identifiers; never empty. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectAltName: SubjectAltName | undefined;
  readonly subjectKeyIdentifier: Bytes | undefined;
  readonly authorityKeyIdentifier: Bytes | undefined;
}

type Draft = { -readonly [K in keyof CertificateExtensions]: CertificateExtensions[K] };

/** Reads the Extensions of a certificate (RFC 5280 §4.2), as `readExtensionList` does. */
export function readExtensions(outer: DerReader): CertificateExtensions {
  const draft: Draft = {
    basicConstraints: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    subjectAltName: undefined,
    subjectKeyIdentifier: undefined,
    authorityKeyIdentifier: undefined,
  };
  readExtensionList(outer, (id, value, isCritical) =>
    readKnownExtension(draft, id, value, isCritical),
  );
  return draft;
}

function readKnownExtension(
  draft: Draft,
  id: string,
  value: DerReader,
  isCritical: boolean,
): boolean {
  switch (id) {
    case oid.basicConstraints:
      draft.basicConstraints = readBasicConstraints(value, isCritical);
      return true;
    case oid.keyUsage:
      draft.keyUsage = readKeyUsage(value);
      return true;
    case oid.extendedKeyUsage:
      draft.extendedKeyUsage = readExtendedKeyUsage(value);
      return true;
    case oid.subjectAltName:
      draft.subjectAltName = readSubjectAltName(value, isCritical);
      return true;
    case oid.subjectKeyIdentifier:
      assertNotCritical(isCritical, 'subjectKeyIdentifier');
      draft.subjectKeyIdentifier = value.content(tag.octetString, 'subjectKeyIdentifier');
      return true;
    case oid.authorityKeyIdentifier:
      assertNotCritical(isCritical, 'authorityKeyIdentifier');
      draft.authorityKeyIdentifier = readAuthorityKeyIdentifier(value);
      return true;
    default:
      return false;
  }
}

function malformed(detail: string): X509Error {
  return new X509Error('malformed_extension', detail);
}

/** RFC 5280 §4.2.1.1, §4.2.1.2: key identifiers are never critical. */
function assertNotCritical(isCritical: boolean, what: string): void {
  if (isCritical) throw malformed(`${what}: critical`);
}

function readBasicConstraints(value: DerReader, isCritical: boolean): BasicConstraints {
  const what = 'basicConstraints';
  const sequence = value.enter(tag.sequence, what);
  const isCa = sequence.peekTag() === tag.boolean;
  if (isCa && !sequence.boolean(what)) throw malformed(`${what}: FALSE is not written`);
  const pathLength = sequence.atEnd ? undefined : sequence.smallInteger(what);
  sequence.finish(what);
  if (pathLength !== undefined && !isCa) throw malformed(`${what}: path length without CA`);
  return { isCa, pathLength, isCritical };
}

function readKeyUsage(value: DerReader): KeyUsage[] {
  const positions = value.namedBits('keyUsage');
  const usages: KeyUsage[] = [];
  for (const [name, bit] of Object.entries(keyUsageBit) as [KeyUsage, number][]) {
    if (positions.includes(bit)) usages.push(name);
  }
  if (usages.length === 0 || usages.length !== positions.length) {
    throw malformed('keyUsage: no bit, or one without a name');
  }
  return usages;
}

function readExtendedKeyUsage(value: DerReader): string[] {
  const sequence = value.enter(tag.sequence, 'extendedKeyUsage');
  const purposes: string[] = [];
  while (!sequence.atEnd) purposes.push(sequence.objectIdentifier('extendedKeyUsage'));
  if (purposes.length === 0) throw malformed('extendedKeyUsage: empty');
  if (new Set(purposes).size !== purposes.length) throw malformed('extendedKeyUsage: one twice');
  return purposes;
}

const uriName = /* @__PURE__ */ contextPrimitive(6);

/** The other kinds of GeneralName (RFC 5280 §4.2.1.6), primitive and constructed. */
const otherNameTags: ReadonlySet<number> = /* @__PURE__ */ new Set([
  ...[1, 2, 7, 8].map(contextPrimitive),
  ...[0, 3, 4, 5].map(contextConstructed),
]);

function readSubjectAltName(value: DerReader, isCritical: boolean): SubjectAltName {
  const what = 'subjectAltName';
  const sequence = value.enter(tag.sequence, what);
  const uris: string[] = [];
  let otherNames = 0;
  while (!sequence.atEnd) {
    const nameTag = sequence.peekTag() ?? 0;
    if (nameTag === uriName) {
      uris.push(decodeString(tag.ia5String, sequence.content(uriName, what), what));
    } else if (otherNameTags.has(nameTag)) {
      assertWellFormedElement(sequence.element(nameTag, what), what);
      otherNames += 1;
    } else {
      throw malformed(`${what}: kind of name not known`);
    }
  }
  if (uris.length + otherNames === 0) throw malformed(`${what}: empty`);
  return { uris, otherNames, isCritical };
}

/** The key identifier; issuer and serial number, where present, are passed over. */
export function readAuthorityKeyIdentifier(value: DerReader): Bytes | undefined {
  const what = 'authorityKeyIdentifier';
  const sequence = value.enter(tag.sequence, what);
  const hasKey = sequence.peekTag() === contextPrimitive(0);
  const keyIdentifier = hasKey ? sequence.content(contextPrimitive(0), what) : undefined;
  const hasIssuer = sequence.peekTag() === contextConstructed(1);
  if (hasIssuer) assertWellFormedElement(sequence.element(contextConstructed(1), what), what);
  const hasSerial = sequence.peekTag() === contextPrimitive(2);
  if (hasSerial) sequence.integer(what, contextPrimitive(2));
  sequence.finish(what);
  if (hasIssuer !== hasSerial) throw malformed(`${what}: issuer and serial belong together`);
  return keyIdentifier;
}
