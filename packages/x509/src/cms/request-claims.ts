import type { Bytes } from '../bytes.ts';
import type { CertificationRequest } from '../certification-request.ts';
import { DerReader } from '../der/reader.ts';
import { contextConstructed, contextPrimitive, tag } from '../der/tag.ts';
import { decodeString } from '../der/well-formed.ts';
import { oid } from '../object-identifiers.ts';
import { attempt, X509Error, type X509Result } from '../result.ts';
import { cmsOid } from './cms-identifiers.ts';

/**
 * What the sender of a request says beside the key: a password, and who they are. Claims, to be
 * believed only as far as something else confirms them; no certificate is made from them.
 */
export interface RequestClaims {
  /** PKCS #9 challengePassword (RFC 2985 §5.4.1). */
  readonly challengePassword: string | undefined;
  /** Values of `serialNumber` in the subject (X.520). */
  readonly serialNumbers: readonly string[];
  readonly commonNames: readonly string[];
  /** URIs in the subjectAltName that the request asks for. */
  readonly uris: readonly string[];
}

const maxTextOctets = 4096;

/** Reads the claims of a request that has been parsed, and is well-formed therefore. */
export function readRequestClaims(request: CertificationRequest): X509Result<RequestClaims> {
  return attempt(() => {
    const info = new DerReader(request.toBeSigned).enter(tag.sequence, 'request info');
    info.smallInteger('version');
    const subject = info.enter(tag.sequence, 'subject');
    info.element(tag.sequence, 'public key');
    const attributes = info.enter(contextConstructed(0), 'attributes');
    let challengePassword: string | undefined;
    let uris: readonly string[] = [];
    while (!attributes.atEnd) {
      const attribute = attributes.enter(tag.sequence, 'attribute');
      const type = attribute.objectIdentifier('attribute');
      const values = attribute.enter(tag.set, 'attribute');
      if (type === cmsOid.challengePassword) {
        challengePassword = readText(values, 'challengePassword');
        values.finish('challengePassword');
      } else if (type === oid.extensionRequest) {
        uris = readRequestedUris(values.enter(tag.sequence, 'extensionRequest'));
        values.finish('extensionRequest');
      }
    }
    return { challengePassword, uris, ...readSubject(subject) };
  });
}

function readSubject(relativeNames: DerReader) {
  const serialNumbers: string[] = [];
  const commonNames: string[] = [];
  while (!relativeNames.atEnd) {
    const attributes = relativeNames.enter(tag.set, 'subject');
    while (!attributes.atEnd) {
      const attribute = attributes.enter(tag.sequence, 'subject');
      const type = attribute.objectIdentifier('subject');
      if (type === cmsOid.serialNumber) serialNumbers.push(readText(attribute, 'serialNumber'));
      else if (type === oid.commonName) commonNames.push(readText(attribute, 'commonName'));
    }
  }
  return { serialNumbers, commonNames };
}

function readText(reader: DerReader, what: string): string {
  const type = reader.peekTag() ?? 0;
  const content = reader.content(type, what);
  if (content.length > maxTextOctets) throw new X509Error('too_large', `${what}: too long`);
  return decodeString(type, content, what);
}

/** Extensions: only the URIs in a subjectAltName are looked at. */
function readRequestedUris(extensions: DerReader): string[] {
  const uris: string[] = [];
  while (!extensions.atEnd) {
    const extension = extensions.enter(tag.sequence, 'extension');
    const isSubjectAltName = extension.objectIdentifier('extension') === oid.subjectAltName;
    if (extension.peekTag() === tag.boolean) extension.boolean('critical');
    const value = extension.content(tag.octetString, 'extension');
    if (isSubjectAltName) uris.push(...readUris(value));
  }
  return uris;
}

function readUris(value: Bytes): string[] {
  const names = new DerReader(value).enter(tag.sequence, 'subjectAltName');
  const uris: string[] = [];
  while (!names.atEnd) {
    const type = names.peekTag() ?? 0;
    const content = names.content(type, 'subjectAltName');
    if (type === contextPrimitive(6)) uris.push(decodeString(tag.ia5String, content, 'URI'));
  }
  return uris;
}
